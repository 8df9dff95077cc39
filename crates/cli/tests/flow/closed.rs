//! Who closes what: an output that nobody reads ends the program, a connection does not.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use crate::setting::Setting;

#[test]
fn a_closed_output_ends_the_program_quietly() {
    let setting = Setting::new();
    let mut command = setting.lyceum(&["tasks", "--kind", "words", "--difficulty", "3", "--count", "3000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    let mut first = [0; 100];
    child.stdout.take().expect("output").read_exact(&mut first).expect("a line");
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(141), "the shell's code for a closed pipe");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn clients_that_go_away_do_not_end_the_server() {
    let setting = Setting::new();
    let mut command = setting.lyceum(&["serve", "--model", "tiny.gguf", "--port", "0", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
    let started = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("http://"))).expect("started");
    let started = started.expect("a line");
    let address = started.split("http://").nth(1).and_then(|rest| rest.split(['"', '/']).next()).expect("address");
    let ask = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for attempt in 0..100 {
        let mut client = TcpStream::connect(address).expect("the server lives");
        let _ = client.write_all(&ask.repeat(200));
        // Answers that come and are not read: closing now resets the connection under the server.
        std::thread::sleep(Duration::from_micros(attempt * 50));
    }
    let mut client = TcpStream::connect(address).expect("the server lives");
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("ask");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(child.try_wait().expect("wait").is_none());
    child.kill().expect("kill");
    child.wait().expect("wait");
}
