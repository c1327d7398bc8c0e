//! The parts of a PTX module after parsing: names of registers and labels are resolved, opcodes are
//! still text.

/// A module: the text given to one `cuModuleLoadData`.
#[derive(Debug, Default)]
pub struct Module {
    /// Version of the language: `(9, 5)`.
    pub version: (u32, u32),
    /// Variables outside functions: `.global`, `.const`, `.shared`.
    pub variables: Vec<Variable>,
    /// Kernels and device functions, including those without a body (`.extern`).
    pub functions: Vec<Function>,
}

/// The memory in which a variable lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Memory of the device.
    Global,
    /// Constant memory, which kernels only read.
    Const,
    /// Memory of a block.
    Shared,
    /// Memory of a thread.
    Local,
    /// Parameters of a call, or of the kernel.
    Param,
}

/// A variable in memory.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its memory.
    pub space: Space,
    /// Alignment in bytes.
    pub align: usize,
    /// Size in bytes; 0 for an `.extern` array without a size.
    pub size: usize,
    /// Initial bytes. If shorter than `size`, the rest is zero; empty if there are none.
    pub init: Vec<u8>,
    /// Whether the text specifies initial bytes.
    pub initialised: bool,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
}

/// The class of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A predicate: one bit per lane.
    Pred,
    /// Up to 32 bits per lane.
    B32,
    /// 64 bits per lane.
    B64,
}

/// A register of a function: an index into [`Function::registers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reg(pub u32);

/// A kernel or a device function.
#[derive(Debug, Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Whether it is a kernel (`.entry`).
    pub entry: bool,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Values returned (device functions only).
    pub returns: Vec<Param>,
    /// Largest number of threads in a block (`.maxntid`, `.reqntid`); 0 if not stated.
    pub max_threads: u32,
    /// Whether it has a body.
    pub has_body: bool,
    /// The class of each register.
    pub registers: Vec<Class>,
    /// Variables declared inside: `.shared`, `.local`, `.param`.
    pub variables: Vec<Variable>,
    /// Instructions.
    pub code: Vec<Statement>,
}

/// One instruction.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The guard: register, and whether it is negated.
    pub guard: Option<(Reg, bool)>,
    /// The opcode's parts: `["mad", "lo", "s32"]`.
    pub opcode: Vec<String>,
    /// Operands in order.
    pub operands: Vec<Operand>,
    /// The used bytes of a load (`.pragma "used_bytes_mask"`), the first byte in the lowest bit.
    pub used_bytes: Option<u64>,
    /// Line of the text, from 1.
    pub line: u32,
    /// Text of the instruction with single spaces.
    pub text: String,
}

/// An immediate value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Imm {
    /// An integer, sign-extended to 64 bits.
    Int(u64),
    /// The bits of an f32.
    F32(u32),
    /// The bits of an f64.
    F64(u64),
}

/// An operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A negated predicate: `!%p1`.
    NotReg(Reg),
    /// A special register without its `%`: `tid.x`.
    Special(String),
    /// A number.
    Imm(Imm),
    /// A variable, a parameter or a function, with an offset.
    Symbol(String, i64),
    /// A branch target: an index into the code.
    Label(u32),
    /// The targets of an indexed branch.
    Labels(Vec<u32>),
    /// `[base + offset]`; the base is a register, a symbol or a number.
    Address(Box<Operand>, i64),
    /// `[base, {coordinates}]` and other addresses with several parts.
    AddressList(Vec<Operand>),
    /// `{a, b}`.
    Vector(Vec<Operand>),
    /// `a|b`.
    Pair(Box<Operand>, Box<Operand>),
    /// `(a, b)` of a call.
    Parens(Vec<Operand>),
    /// `_`: the result is discarded.
    Sink,
}
