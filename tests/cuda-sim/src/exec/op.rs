//! Decoded instructions. Operands are slot indices: registers, special registers and constants are
//! all slots of a warp.

use std::ops::Range;

use super::decode::Ty;
use super::float::Round;
use super::lanes::*;
use super::matrix::{Fragments, LoadMatrix, Mma, WmmaAccess};

/// A slot with 32 bits per lane.
pub type S32 = u32;
/// A slot with 64 bits per lane.
pub type S64 = u32;
/// A slot with one bit per lane.
pub type SPred = u32;

/// The guard of an unconditional instruction.
pub const ALWAYS: u32 = u32::MAX;

/// A decoded instruction.
#[derive(Debug)]
pub struct Inst {
    /// The operation.
    pub op: Op,
    /// Predicate slot of the guard, or [`ALWAYS`].
    pub guard: SPred,
    /// All ones if the guard is negated, else zero.
    pub negate: u32,
    /// Index into the program's source texts.
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

/// The memory that an address refers to.
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
    /// Any of them; the address determines which.
    Generic,
}

/// An address: an optional register plus a constant.
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
    /// The address.
    pub address: Address,
    /// Bytes of one element: 1, 2, 4 or 8.
    pub width: usize,
    /// Registers, one for each element.
    pub registers: Vec<Slot>,
    /// The used bytes of a load, as ranges from the address on.
    pub used: Vec<Range<usize>>,
    /// Whether to sign-extend when loading.
    pub signed: bool,
    /// Volatile, relaxed, acquire or release: such accesses do not race with each other.
    pub strong: bool,
}

/// The operation that an atomic instruction applies to the old value.
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

/// The type that an atomic instruction operates on.
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
    /// The address.
    pub address: Address,
    /// The operation.
    pub op: AtomicOp,
    /// Its type.
    pub ty: AtomicType,
    /// Destination of the old value.
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
    /// Number of participating threads; the whole block if not given.
    pub count: Option<S32>,
    /// Whether the thread continues without waiting.
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
    /// Number of bytes read from the source, the rest being zero; all bytes if not given.
    pub read: Option<S32>,
    /// A predicate that, if true, sets all bytes to zero.
    pub ignore: Option<SPred>,
}

/// The operation of an `mbarrier` instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MBarrierKind {
    /// Initialises a barrier for this many arrivals.
    Init,
    /// Invalidates it.
    Invalidate,
    /// Arrives this many times.
    Arrive,
    /// Arrives once, and expects this many bytes.
    ArriveExpect,
    /// Expects this many bytes.
    Expect,
    /// Tests whether a phase is over: the one with this token, or with this parity.
    Wait {
        /// Whether the operand is a parity.
        parity: bool,
    },
    /// Arrives once the thread's copies are complete; `counted` if the barrier's count includes
    /// this arrival.
    CopyArrive {
        /// `.noinc`.
        counted: bool,
    },
}

/// `mbarrier`.
#[derive(Debug)]
pub struct MBarrier {
    /// The operation.
    pub kind: MBarrierKind,
    /// The barrier.
    pub address: Address,
    /// Destination of an arrival's token.
    pub token: Option<Slot>,
    /// Destination of a wait's result.
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
    /// Number of bytes.
    pub size: S32,
    /// The barrier that counts the bytes.
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

/// `cvt` between types without a short form.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    /// Type of the source.
    pub from: Ty,
    /// Type of the result.
    pub to: Ty,
    /// Rounding mode; to nearest if not given.
    pub round: Round,
    /// Whether a float is rounded to an integer.
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
    /// A comparison whose result is a value: one for the whole register, or one for each half.
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
    /// Packs parts of this many bits each into one register, lowest first.
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
    /// An unknown instruction and the reason. Executing it is a finding.
    Unknown(Box<str>),
}
