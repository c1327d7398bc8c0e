//! What the checks report.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The kinds of fault that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An access outside every allocation.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// A read of memory that was never written.
    Unwritten,
    /// Two threads touch the same byte of shared memory, one writes, and nothing orders them.
    Race,
    /// Two blocks of a launch touch the same bytes of global memory, and one writes.
    BlockRace,
    /// A barrier that not all threads reach.
    Barrier,
    /// A barrier that is passed although some threads of the block have ended before it.
    ExitBeforeBarrier,
    /// A warp instruction whose mask names threads that never arrive, or not the executing one.
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
    /// An instruction that this crate does not know.
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

    /// The name used in messages and in the environment.
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

    /// Whether the program could go on in a meaningful way after it.
    fn survivable(self) -> bool {
        matches!(self, Kind::Unwritten | Kind::Race | Kind::ExitBeforeBarrier | Kind::UnwrittenCopy)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// The kernel; empty outside a launch.
    pub kernel: String,
    /// The block.
    pub block: [u32; 3],
    /// The thread.
    pub thread: [u32; 3],
    /// Line of the PTX text, from 1; 0 outside a launch.
    pub line: u32,
    /// The instruction's text.
    pub instruction: String,
    /// What happened.
    pub message: String,
}

impl Finding {
    /// A fault outside any kernel.
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

/// What to do about a kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The launch fails.
    Stop,
    /// It is printed and counted, and the launch goes on.
    Report,
    /// It is not looked at.
    Ignore,
}

/// Collects findings and decides what they do.
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

/// Findings kept in full; more of them are only counted.
const KEPT: usize = 200;

impl Default for Findings {
    fn default() -> Self {
        // Hardware lets these pass, and correct programs do them.
        let actions = Kind::ALL.map(|kind| match kind {
            Kind::ExitBeforeBarrier | Kind::UnwrittenCopy => Action::Report,
            _ => Action::Stop,
        });
        let counts = Kind::ALL.map(|_| AtomicU64::new(0));
        Self { actions, counts, seen: Mutex::default(), print: true }
    }
}

impl Findings {
    /// Sets what a kind does. A fault after which a kernel cannot go on keeps stopping it.
    #[must_use]
    pub fn with(mut self, kind: Kind, action: Action) -> Self {
        if action == Action::Stop || kind.survivable() {
            self.actions[kind as usize] = action;
        }
        self
    }

    /// Prints nothing on standard error.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.print = false;
        self
    }

    /// What a kind does.
    pub fn action(&self, kind: Kind) -> Action {
        self.actions[kind as usize]
    }

    /// Takes a finding. Returns it if it must stop the launch.
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
        // One line for each place.
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

    /// Counts a finding at a place that has been reported already.
    pub fn count(&self, kind: Kind) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Findings so far by kind.
    pub fn counts(&self) -> Vec<(Kind, u64)> {
        let all = Kind::ALL.iter().zip(&self.counts);
        all.map(|(&kind, n)| (kind, n.load(Ordering::Relaxed))).filter(|(_, n)| *n > 0).collect()
    }

    /// The first finding at each place, in order.
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
