//! The server as its clients meet it: over a socket on the loopback, in front of small random models.

mod bad;
mod chat;
mod completions;
mod house;
mod limits;
mod load;
mod proxy;
mod routes;
mod search;
mod stop;
