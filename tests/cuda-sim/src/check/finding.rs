//! Findings of the checks.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The kinds of fault that the checks detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An access outside every allocation.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// A read of memory that was never written.
    Unwritten,
    /// Two threads touch the same byte of shared memory without synchronisation, and at least one
    /// of them writes.
    Race,
    /// Two blocks of a launch touch the same bytes of global memory, and at least one of them
    /// writes.
    BlockRace,
    /// A barrier that not all threads reach.
    Barrier,
    /// A barrier that is passed after some threads of the block have ended.
    ExitBeforeBarrier,
    /// A warp instruction whose mask names threads that never arrive, or does not name the
    /// executing one.
    WarpMask,
    /// An access to memory that has been freed.
    UseAfterFree,
    /// Memory freed twice, or at an address that was never allocated.
    BadFree,
    /// A launch beyond the limits of the device.
    Limit,
    /// A kernel that runs for too long.
    Timeout,
    /// An assertion or a trap in a kernel.
    Assertion,
    /// An instruction that this crate does not support.
    UnknownInstruction,
    /// A copy to the host of memory that was never written.
    UnwrittenCopy,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 15] = [
        Kind::OutOfBounds,
        Kind::Misaligned,
        Kind::Unwritten,
        Kind::Race,
        Kind::BlockRace,
        Kind::Barrier,
        Kind::ExitBeforeBarrier,
        Kind::WarpMask,
        Kind::UseAfterFree,
        Kind::BadFree,
        Kind::Limit,
        Kind::Timeout,
        Kind::Assertion,
        Kind::UnknownInstruction,
        Kind::UnwrittenCopy,
    ];

    /// Returns the name used in messages and in environment variables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::OutOfBounds => "out-of-bounds",
            Kind::Misaligned => "misaligned",
            Kind::Unwritten => "unwritten",
            Kind::Race => "race",
            Kind::BlockRace => "block-race",
            Kind::Barrier => "barrier",
            Kind::ExitBeforeBarrier => "exit-before-barrier",
            Kind::WarpMask => "warp-mask",
            Kind::UseAfterFree => "use-after-free",
            Kind::BadFree => "bad-free",
            Kind::Limit => "limit",
            Kind::Timeout => "timeout",
            Kind::Assertion => "assertion",
            Kind::UnknownInstruction => "unknown-instruction",
            Kind::UnwrittenCopy => "unwritten-copy",
        }
    }

    /// Returns whether the program can continue in a meaningful way after such a fault.
    fn survivable(self) -> bool {
        matches!(self, Kind::Unwritten | Kind::Race | Kind::ExitBeforeBarrier | Kind::UnwrittenCopy)
    }
}

/// One detected fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of fault.
    pub kind: Kind,
    /// The kernel's name; empty outside a launch.
    pub kernel: String,
    /// Index of the block.
    pub block: [u32; 3],
    /// Index of the thread.
    pub thread: [u32; 3],
    /// Line of the PTX text, from 1; 0 outside a launch.
    pub line: u32,
    /// The instruction's text.
    pub instruction: String,
    /// Description of the fault.
    pub message: String,
}

impl Finding {
    /// Returns a fault outside any kernel.
    pub fn host(kind: Kind, message: String) -> Self {
        Self {
            kind,
            kernel: String::new(),
            block: [0; 3],
            thread: [0; 3],
            line: 0,
            instruction: String::new(),
            message,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)?;
        if self.kernel.is_empty() {
            return Ok(());
        }
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(f, "; kernel {}, block ({bx}, {by}, {bz}), thread ({tx}, {ty}, {tz})", self.kernel)?;
        if self.line > 0 {
            write!(f, ", PTX line {}: {}", self.line, self.instruction)?;
        }
        Ok(())
    }
}

impl std::error::Error for Finding {}

/// The action taken on a kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The launch fails.
    Stop,
    /// The finding is printed and counted, and the launch continues.
    Report,
    /// The fault is not checked for.
    Ignore,
}

/// Collects findings and decides what they cause.
#[derive(Debug)]
pub struct Findings {
    actions: [Action; Kind::ALL.len()],
    counts: [AtomicU64; Kind::ALL.len()],
    seen: Mutex<Seen>,
    print: bool,
}

#[derive(Debug, Default)]
struct Seen {
    places: HashMap<(Kind, String, u32), u64>,
    list: Vec<Finding>,
}

/// Number of findings kept in full; further ones are only counted.
const KEPT: usize = 200;

impl Default for Findings {
    fn default() -> Self {
        // Hardware permits these, and correct programs use them.
        let actions = Kind::ALL.map(|kind| match kind {
            Kind::ExitBeforeBarrier | Kind::UnwrittenCopy => Action::Report,
            _ => Action::Stop,
        });
        let counts = Kind::ALL.map(|_| AtomicU64::new(0));
        Self { actions, counts, seen: Mutex::default(), print: true }
    }
}

impl Findings {
    /// Sets the action for a kind. A fault after which a kernel cannot continue still stops it.
    #[must_use]
    pub fn with(mut self, kind: Kind, action: Action) -> Self {
        if action == Action::Stop || kind.survivable() {
            self.actions[kind as usize] = action;
        }
        self
    }

    /// Suppresses output on standard error.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.print = false;
        self
    }

    /// Returns the action for a kind.
    pub fn action(&self, kind: Kind) -> Action {
        self.actions[kind as usize]
    }

    /// Records a finding, and returns it if it must stop the launch.
    pub fn raise(&self, finding: Finding) -> Result<(), Box<Finding>> {
        let action = self.action(finding.kind);
        if action == Action::Ignore {
            return Ok(());
        }
        self.count(finding.kind);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (finding.kind, finding.kernel.clone(), finding.line);
        let times = seen.places.entry(place).or_default();
        *times += 1;
        // One line per place.
        if *times == 1 && self.print {
            eprintln!("cuda-sim: {finding}");
        }
        if *times == 1 && seen.list.len() < KEPT {
            seen.list.push(finding.clone());
        }
        match action {
            Action::Stop => Err(Box::new(finding)),
            _ => Ok(()),
        }
    }

    /// Counts a finding at a place that has already been reported.
    pub fn count(&self, kind: Kind) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of findings of each kind.
    pub fn counts(&self) -> Vec<(Kind, u64)> {
        let all = Kind::ALL.iter().zip(&self.counts);
        all.map(|(&kind, n)| (kind, n.load(Ordering::Relaxed))).filter(|(_, n)| *n > 0).collect()
    }

    /// Returns the first finding at each place, in order.
    pub fn list(&self) -> Vec<Finding> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).list.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_listed_in_order_with_names_of_their_own() {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            assert!(Kind::ALL[..i].iter().all(|other| other.name() != kind.name()));
        }
    }

    #[test]
    fn faults_that_end_a_kernel_cannot_be_ignored() {
        let findings = Findings::default()
            .with(Kind::OutOfBounds, Action::Ignore)
            .with(Kind::Race, Action::Report)
            .quiet();
        assert_eq!(findings.action(Kind::OutOfBounds), Action::Stop);
        let race = Finding::host(Kind::Race, "a race".to_owned());
        findings.raise(race.clone()).unwrap();
        findings.raise(race).unwrap();
        assert_eq!((findings.counts(), findings.list().len()), (vec![(Kind::Race, 2)], 1));
    }
}
