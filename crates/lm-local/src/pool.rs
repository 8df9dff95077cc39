//! The threads that carry out a step together, and the buffers that they share.
//!
//! All threads run the same code; a [`Worker`] hands each its part of a phase and [`Worker::meet`]
//! ends the phase. Parts of one phase never overlap, and every number depends on its row alone, so
//! results are the same for any number of threads.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};

/// A buffer that threads write in disjoint parts between two meetings.
///
/// Invariant that every user keeps: between two calls of [`Worker::meet`] an element is written by
/// one thread only, and read by no other. The parts come from [`Worker::part`] or [`Worker::next`],
/// which never give the same unit twice in a phase.
pub(crate) struct Shared<T> {
    cells: Box<[UnsafeCell<T>]>,
}

// SAFETY: access goes through the unsafe methods below, whose callers keep the invariant.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// Zeros come from the system without being touched.
    pub fn new(value: T, len: usize) -> Self {
        let cells = vec![value; len].into_boxed_slice();
        // SAFETY: `UnsafeCell<T>` has the layout of `T`, so the allocation's layout is the same.
        Self { cells: unsafe { Box::from_raw(Box::into_raw(cells) as *mut [UnsafeCell<T>]) } }
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Address of an element; for reading and writing under the type's invariant.
    pub fn at(&self, index: usize) -> *mut T {
        self.cells[index..].as_ptr().cast_mut().cast()
    }

    /// The elements of a range, for reading.
    ///
    /// # Safety
    /// No thread writes in the range while the slice lives.
    pub unsafe fn slice(&self, range: Range<usize>) -> &[T] {
        let cells = &self.cells[range];
        // SAFETY: `UnsafeCell<T>` has the layout of `T`; nobody writes, by contract.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), cells.len()) }
    }

    /// The whole buffer, when no other thread can know it.
    pub fn get_mut(&mut self) -> &mut [T] {
        // SAFETY: the borrow is exclusive and `UnsafeCell<T>` has the layout of `T`.
        unsafe { std::slice::from_raw_parts_mut(self.cells.as_mut_ptr().cast(), self.cells.len()) }
    }
}

/// A counter alone in its pair of cache lines.
#[repr(align(128))]
struct Padded(AtomicUsize);

/// Work as the threads see it.
type Work<'a> = dyn Fn(&mut Worker<'_>) + Sync + 'a;

struct Common {
    /// How many phases each thread has ended.
    epochs: Vec<Padded>,
    /// Units taken, one counter a phase in turn.
    taken: Vec<Padded>,
    /// Number of the current work; workers wait for it to rise.
    turn: Padded,
    /// How many workers are through with it.
    through: Padded,
    work: AtomicPtr<&'static Work<'static>>,
    stop: AtomicBool,
    broken: AtomicBool,
    sleeping: Vec<AtomicBool>,
}

/// Rounds of waiting before a thread lets others run; machines are shared, so they come early.
const SPINS: usize = 1_000;
/// Rounds of letting others run before an idle worker sleeps, about a millisecond.
const YIELDS: usize = 2_000;

/// One thread within a piece of work.
pub(crate) struct Worker<'a> {
    common: &'a Common,
    /// Number of this thread, from 0.
    pub index: usize,
    /// How many threads there are.
    pub count: usize,
    epoch: usize,
}

impl Worker<'_> {
    /// This thread's contiguous share of `total` units.
    pub fn part(&self, total: usize) -> Range<usize> {
        total * self.index / self.count..total * (self.index + 1) / self.count
    }

    /// The next unit that nobody has taken in this phase; `None` when all are gone.
    pub fn next(&self, total: usize) -> Option<usize> {
        if self.count == 1 {
            let unit = self.common.taken[0].0.load(Ordering::Relaxed);
            self.common.taken[0].0.store(unit + 1, Ordering::Relaxed);
            return (unit < total).then_some(unit);
        }
        let unit = self.common.taken[self.epoch % 3].0.fetch_add(1, Ordering::Relaxed);
        (unit < total).then_some(unit)
    }

    /// Waits until every thread has ended this phase; what they wrote can be read afterwards.
    pub fn meet(&mut self) {
        let common = self.common;
        if self.count == 1 {
            common.taken[0].0.store(0, Ordering::Relaxed);
            return;
        }
        // Everybody has left the phase before this one, so its counter can be cleared for the next
        // but one.
        if self.index == 0 {
            common.taken[(self.epoch + 2) % 3].0.store(0, Ordering::Relaxed);
        }
        self.epoch += 1;
        common.epochs[self.index].0.store(self.epoch, Ordering::Release);
        for other in 0..self.count {
            let mut rounds = 0;
            while common.epochs[other].0.load(Ordering::Acquire) < self.epoch {
                wait(&mut rounds);
                assert!(!common.broken.load(Ordering::Relaxed), "another thread of the pool panicked");
            }
        }
    }
}

fn wait(rounds: &mut usize) {
    *rounds += 1;
    if *rounds < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// A fixed number of threads; the caller is one of them.
pub(crate) struct Pool {
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
    epoch: usize,
}

impl Pool {
    /// Starts `count − 1` threads.
    pub fn new(count: usize) -> std::io::Result<Self> {
        let padded = || Padded(AtomicUsize::new(0));
        let common = Arc::new(Common {
            epochs: (0..count).map(|_| padded()).collect(),
            taken: (0..3).map(|_| padded()).collect(),
            turn: padded(),
            through: padded(),
            work: AtomicPtr::new(std::ptr::null_mut()),
            stop: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            sleeping: (0..count).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut pool = Self { common: common.clone(), threads: Vec::new(), epoch: 0 };
        for index in 1..count {
            let common = common.clone();
            let thread = std::thread::Builder::new().name(format!("lm-local-{index}"));
            pool.threads.push(thread.spawn(move || serve(&common, index, count))?);
        }
        Ok(pool)
    }

    /// How many threads work.
    pub fn count(&self) -> usize {
        self.threads.len() + 1
    }

    /// Runs `work` on every thread; returns when all are through. A panic in any thread comes out
    /// here, and after it the pool must not be used again.
    pub fn run(&mut self, work: &Work<'_>) {
        let count = self.count();
        let mut reference: &Work<'_> = work;
        // The lifetime is dropped for the pointer's type only: this function returns after every
        // worker is through with the work.
        let pointer: *mut &Work<'_> = &mut reference;
        self.common.work.store(pointer.cast(), Ordering::Relaxed);
        self.common.through.0.store(0, Ordering::Relaxed);
        self.common.turn.0.fetch_add(1, Ordering::SeqCst);
        for (i, thread) in self.threads.iter().enumerate() {
            if self.common.sleeping[i + 1].load(Ordering::SeqCst) {
                unpark(thread.thread());
            }
        }
        let mut worker = Worker { common: &self.common, index: 0, count, epoch: self.epoch };
        let result = catch_unwind(AssertUnwindSafe(|| {
            work(&mut worker);
            worker.meet();
        }));
        self.epoch = worker.epoch;
        if result.is_err() {
            self.common.broken.store(true, Ordering::SeqCst);
        }
        let mut rounds = 0;
        while self.common.through.0.load(Ordering::Acquire) < count - 1 {
            wait(&mut rounds);
        }
        if let Err(panic) = result {
            resume_unwind(panic);
        }
        assert!(!self.common.broken.load(Ordering::SeqCst), "a thread of the pool panicked");
    }
}

fn unpark(thread: &Thread) {
    thread.unpark();
}

fn serve(common: &Common, index: usize, count: usize) {
    let mut turn = 0;
    let mut epoch = 0;
    loop {
        let mut rounds = 0;
        while common.turn.0.load(Ordering::Acquire) == turn {
            if common.stop.load(Ordering::Relaxed) {
                return;
            }
            wait(&mut rounds);
            if rounds > SPINS + YIELDS {
                common.sleeping[index].store(true, Ordering::SeqCst);
                // Looked at again after saying so, or the call to wake up could be missed.
                if common.turn.0.load(Ordering::SeqCst) == turn && !common.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                common.sleeping[index].store(false, Ordering::SeqCst);
            }
        }
        turn += 1;
        let pointer = common.work.load(Ordering::Relaxed).cast::<&Work<'_>>();
        // SAFETY: `Pool::run` stored it before it raised the turn, and keeps it alive until every
        // worker has raised `through`.
        let work = unsafe { *pointer };
        let mut worker = Worker { common, index, count, epoch };
        let result = catch_unwind(AssertUnwindSafe(|| {
            work(&mut worker);
            worker.meet();
        }));
        epoch = worker.epoch;
        if result.is_err() {
            common.broken.store(true, Ordering::SeqCst);
        }
        common.through.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.common.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A worker that panicked has said so in `broken`; there is nothing left to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_done_once_in_every_phase() {
        for threads in [1, 2, 3] {
            let mut pool = Pool::new(threads).expect("threads start");
            for _ in 0..20 {
                let counts: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
                pool.run(&|worker| {
                    for phase in 1..=7 {
                        while let Some(unit) = worker.next(50) {
                            counts[unit].fetch_add(1, Ordering::Relaxed);
                        }
                        for unit in worker.part(50) {
                            counts[50 + unit].fetch_add(1, Ordering::Relaxed);
                        }
                        worker.meet();
                        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == phase));
                        worker.meet();
                    }
                });
            }
        }
    }

    #[test]
    fn a_panic_comes_out_and_stops_nobody_from_ending() {
        let mut pool = Pool::new(2).expect("threads start");
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(&|worker| {
                assert!(worker.index == 0, "on purpose");
                worker.meet();
            });
        }));
        assert!(result.is_err());
        drop(pool);
    }
}
