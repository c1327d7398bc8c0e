//! Decoded instructions. Operands are indices of slots: registers, special registers and constants alike are slots of a warp.

use std::ops::Range;

use super::decode::Ty;
use super::float::Round;
use super::lanes::*;
use super::matrix::{Fragments, LoadMatrix, Mma, WmmaAccess};

/// A slot of 32 bits a lane.
pub type S32 = u32;
/// A slot of 64 bits a lane.
pub type S64 = u32;
/// A slot of one bit a lane.
pub type SPred = u32;

/// The guard that says "always".
pub const ALWAYS: u32 = u32::MAX;

/// A decoded instruction.
#[derive(Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Predicate slot of the guard, or [`ALWAYS`].
    pub guard: SPred,
    /// All ones where the guard is negated, else zero.
    pub negate: u32,
    /// Index into the program's texts.
    pub source: u32,
}

/// A register of either width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// 32 bits or less.
    Narrow(S32),
    /// 64 bits.
    Wide(S64),
}

/// The memory that an address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Memory of the device, constants included.
    Global,
    /// Memory of the block.
    Shared,
    /// Memory of the thread.
    Local,
    /// The kernel's parameters.
    Param,
    /// Any of them: the address says which.
    Generic,
}

/// An address: a register, if any, and a constant.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// The memory.
    pub space: Space,
    /// The register.
    pub base: Option<Slot>,
    /// The constant.
    pub offset: u64,
}

/// `ld` or `st`.
#[derive(Debug)]
pub struct Access {
    /// Where.
    pub address: Address,
    /// Bytes of one element: 1, 2, 4 or 8.
    pub width: usize,
    /// Registers, one for each element.
    pub registers: Vec<Slot>,
    /// The bytes of a load that count, as ranges from the address on.
    pub used: Vec<Range<usize>>,
    /// Sign-extend when loading.
    pub signed: bool,
    /// Volatile, relaxed, acquire or release: such accesses do not race with each other.
    pub strong: bool,
}

/// What an atomic operation does to the old value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AtomicOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exchange,
    CompareExchange,
    Increment,
    Decrement,
}

/// The type on which an atomic operation works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AtomicType {
    U32,
    S32,
    F32,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    B16,
    U64,
    S64,
    F64,
}

/// `atom` or `red`.
#[derive(Debug)]
pub struct Atomic {
    /// Where.
    pub address: Address,
    /// The operation.
    pub op: AtomicOp,
    /// Its type.
    pub ty: AtomicType,
    /// Where the old value goes.
    pub result: Option<Slot>,
    /// The operand.
    pub b: Slot,
    /// The second operand of a compare-and-exchange.
    pub c: Option<Slot>,
}

/// `shfl.sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ShuffleMode {
    Up,
    Down,
    Butterfly,
    Index,
}

/// Votes and reductions over a warp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum VoteMode {
    All,
    Any,
    Uniform,
    Ballot,
}

/// Reductions over a warp or a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ReduceMode {
    Add,
    MinU,
    MaxU,
    MinS,
    MaxS,
    And,
    Or,
    Xor,
    Count,
}

/// A barrier of a block.
#[derive(Debug)]
pub struct Barrier {
    /// Number of the barrier, 0 to 15.
    pub id: S32,
    /// Threads that take part; all of the block if not given.
    pub count: Option<S32>,
    /// Whether the thread goes on without waiting.
    pub arrive: bool,
    /// A reduction over a predicate: the mode, the predicate, its negation, and the result.
    pub reduce: Option<(ReduceMode, SPred, u32, Result32)>,
}

/// A result that is a register or a predicate.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Result32 {
    Value(S32),
    Pred(SPred),
}

/// `cp.async`.
#[derive(Debug)]
pub struct CopyAsync {
    /// Destination in shared memory.
    pub to: Address,
    /// Source in global memory.
    pub from: Address,
    /// Bytes copied: 4, 8 or 16.
    pub size: usize,
    /// Bytes read from the source; the rest is zero. All if not given.
    pub read: Option<S32>,
    /// A predicate that, if true, makes all bytes zero.
    pub ignore: Option<SPred>,
}

/// What an `mbarrier` instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MBarrierKind {
    /// Begins a barrier for so many arrivals.
    Init,
    /// Ends it.
    Invalidate,
    /// Arrives so many times.
    Arrive,
    /// Arrives once, and expects so many bytes.
    ArriveExpect,
    /// Expects so many bytes.
    Expect,
    /// Asks whether a phase is over: the one with this token, or with this parity.
    Wait {
        /// Whether the operand is a parity.
        parity: bool,
    },
    /// Arrives once the thread's copies have; `counted` if the barrier's count includes it.
    CopyArrive {
        /// `.noinc`.
        counted: bool,
    },
}

/// `mbarrier`.
#[derive(Debug)]
pub struct MBarrier {
    /// What it does.
    pub kind: MBarrierKind,
    /// The barrier.
    pub address: Address,
    /// Where an arrival's token goes.
    pub token: Option<Slot>,
    /// Where the answer of a wait goes.
    pub done: Option<SPred>,
    /// The count, bytes, token or parity.
    pub operand: Option<Slot>,
}

/// `cp.async.bulk` to shared memory.
#[derive(Debug)]
pub struct CopyBulk {
    /// Destination.
    pub to: Address,
    /// Source.
    pub from: Address,
    /// Bytes.
    pub size: S32,
    /// The barrier that counts them.
    pub barrier: Address,
}

/// A function of two predicates.
pub type Logic = fn(u32, u32) -> u32;

/// `setp` with its optional second result and its optional combination with a third predicate.
#[derive(Debug, Clone, Copy)]
pub struct SetTo {
    /// The predicate that is set.
    pub p: SPred,
    /// The predicate that is set to the opposite.
    pub q: Option<SPred>,
    /// Combined by a function with this predicate (xor with the mask first).
    pub with: Option<(Logic, SPred, u32)>,
}

/// `cvt` between types for which there is no short form.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    /// Type of the source.
    pub from: Ty,
    /// Type of the result.
    pub to: Ty,
    /// Rounding; to nearest if not given.
    pub round: Round,
    /// Whether a float is rounded to a whole number.
    pub integral: bool,
    /// `.sat`.
    pub saturate: bool,
    /// `.relu`.
    pub relu: bool,
    /// `.ftz`.
    pub flush: bool,
    /// The source.
    pub source: Slot,
    /// The result.
    pub result: Slot,
}

/// An operation.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Op {
    Un32(Un32, S32, S32),
    Bin32(Bin32, S32, S32, S32),
    Tri32(Tri32, S32, S32, S32, S32),
    Un64(Un64, S64, S64),
    Bin64(Bin64, S64, S64, S64),
    Tri64(Tri64, S64, S64, S64, S64),
    Mixed64(Mixed64, S64, S64, S32),
    Widen(Widen, S64, S32),
    Widen2(Widen2, S64, S32, S32),
    /// `mad.wide`: the product of two narrow registers, added to a wide one.
    WidenAdd(Widen2, S64, S32, S32, S64),
    Narrow(Narrow, S32, S64),
    Mov32(S32, S32),
    Mov64(S64, S64),
    MovPred(SPred, SPred),
    Pred(Logic, SPred, SPred, SPred),
    Set32(Test32, SetTo, S32, S32),
    Set64(Test64, SetTo, S64, S64),
    /// A comparison whose result is a value: one of the whole register, or one of each half.
    SetValue {
        tests: [Option<Test32>; 2],
        d: S32,
        a: S32,
        b: S32,
        truth: u32,
    },
    Select32(S32, S32, S32, SPred),
    Convert(Box<Conversion>),
    Select64(S64, S64, S64, SPred),
    Bfi32(S32, [S32; 4]),
    Bfi64(S64, [S64; 2], [S32; 2]),
    Bfe64(S64, S64, [S32; 2], bool),
    Lop3(S32, [S32; 3], u8),
    /// Parts of so many bits each, lowest first, into one register.
    Pack(Slot, Vec<Slot>, u32),
    Unpack(Vec<Option<Slot>>, Slot, u32),
    Clock(Slot),
    Load(Box<Access>),
    Store(Box<Access>),
    Atomic(Box<Atomic>),
    CopyAsync(Box<CopyAsync>),
    CopyCommit,
    CopyBulk(Box<CopyBulk>),
    MBarrier(Box<MBarrier>),
    CopyWait(u32),
    Branch(u32),
    BranchTable(S32, Vec<u32>),
    Exit,
    Barrier(Box<Barrier>),
    BarrierWarp(S32),
    Shuffle {
        mode: ShuffleMode,
        d: S32,
        p: Option<SPred>,
        a: S32,
        b: S32,
        c: S32,
        members: S32,
    },
    Vote {
        mode: VoteMode,
        d: Result32,
        p: SPred,
        negate: u32,
        members: S32,
    },
    Match {
        all: bool,
        d: S32,
        p: Option<SPred>,
        a: Slot,
        members: S32,
    },
    Reduce {
        mode: ReduceMode,
        d: S32,
        a: S32,
        members: S32,
    },
    ActiveMask(S32),
    Elect {
        d: S32,
        p: SPred,
        members: S32,
    },
    LoadMatrix(Box<LoadMatrix>),
    StoreMatrix(Box<LoadMatrix>),
    MoveMatrix(S32, S32),
    Mma(Box<Mma>),
    WmmaLoad(Box<WmmaAccess>),
    WmmaStore(Box<WmmaAccess>),
    Wmma(Box<Fragments>),
    Nop,
    Trap,
    /// `__assertfail`.
    AssertFail,
    /// An instruction that this crate does not know, and why. Reaching it is a finding.
    Unknown(Box<str>),
}
