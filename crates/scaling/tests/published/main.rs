//! Numbers published for, or computed from, 104 models × 8 validation losses × 46 tasks (see
//! `tests/data/LICENSE`; made by `goldens/scaling.py`).

mod bands;
mod gadre;
mod published;
mod table;
mod verdicts;

use published::Published;
