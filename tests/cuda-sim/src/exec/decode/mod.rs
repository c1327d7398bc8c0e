//! Translates parsed PTX into [`Program`]s: registers and constants become slots, opcodes become
//! operations.
//!
//! An unknown instruction becomes [`Op::Unknown`] with the reason. It is an error only when it is
//! executed.

mod bits;
mod compare;
mod control;
mod convert;
mod float;
mod integer;
mod matrix;
mod mbarrier;
mod memory;
mod operands;
mod types;

pub(crate) use bits::extract;
pub(crate) use convert::convert_one;
use types::Mods;
pub use types::Ty;

use std::collections::HashMap;

use super::lanes::*;
use super::op::*;
use crate::ptx::{self, Class, Function, Imm, Module, Operand, Reg, Statement};

/// A special register that has its own slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Special {
    Thread(usize),
    Block(usize),
    Threads(usize),
    Blocks(usize),
    Lane,
    Warp,
    Warps,
    LanesBelow,
    LanesUpTo,
    LanesAbove,
    LanesFrom,
    LaneBit,
    DynamicShared,
    TotalShared,
    Multiprocessor,
    Zero,
}

/// A kernel that is ready to run.
#[derive(Debug, Default)]
pub struct Program {
    /// The kernel's name.
    pub name: String,
    /// Instructions.
    pub code: Vec<Inst>,
    /// Line and text of each statement.
    pub sources: Vec<(u32, String)>,
    /// Offset and size of each parameter.
    pub params: Vec<(usize, usize)>,
    /// Bytes of all parameters.
    pub param_bytes: usize,
    /// Number of bytes of shared memory that the text declares; dynamic shared memory follows.
    pub static_shared: usize,
    /// Number of bytes of a thread's local memory.
    pub local_bytes: usize,
    /// Largest number of threads in a block; 0 if not stated.
    pub max_threads: u32,
    /// Numbers of slots: 32 bits, 64 bits, and predicates.
    pub slots: [usize; 3],
    /// Constants with 32 bits.
    pub constants32: Vec<(S32, u32)>,
    /// Constants with 64 bits.
    pub constants64: Vec<(S64, u64)>,
    /// Predicates that are always true.
    pub truths: Vec<SPred>,
    /// Special registers.
    pub specials: Vec<(Special, S32)>,
    /// Base-2 logarithm of the granule size of the race shadow: the smallest access to shared
    /// memory.
    pub granule: u32,
    /// Unknown instructions, each with the reason.
    pub unknown: Vec<String>,
}

/// The location of a named variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    space: Space,
    offset: u64,
}

type Decoded<T> = Result<T, String>;

/// A function that is being decoded; calls are expanded in place.
struct Frame {
    registers: Vec<Slot3>,
    names: HashMap<String, Place>,
}

/// The slot of a register of any class.
#[derive(Debug, Clone, Copy)]
enum Slot3 {
    Pred(SPred),
    Value(Slot),
}

struct Decoder<'m> {
    module: &'m Module,
    globals: &'m HashMap<String, u64>,
    shared: HashMap<String, u64>,
    program: Program,
    constants32: HashMap<u32, S32>,
    constants64: HashMap<u64, S64>,
    depth: usize,
    smallest: usize,
}

/// The decoder, within one function.
struct Scope<'d, 'm> {
    decoder: &'d mut Decoder<'m>,
    frame: &'d Frame,
}

impl Program {
    /// Decodes a kernel of a module. `globals` are the addresses of the module's variables.
    pub fn decode(module: &Module, kernel: &Function, globals: &HashMap<String, u64>) -> Self {
        let mut decoder = Decoder {
            module,
            globals,
            shared: HashMap::new(),
            program: Program {
                name: kernel.name.clone(),
                max_threads: kernel.max_threads,
                ..Program::default()
            },
            constants32: HashMap::new(),
            constants64: HashMap::new(),
            depth: 0,
            smallest: 16,
        };
        decoder.place_shared();
        let mut names = HashMap::new();
        for param in &kernel.params {
            let offset = decoder.program.param_bytes.next_multiple_of(param.align);
            decoder.program.params.push((offset, param.size));
            decoder.program.param_bytes = offset + param.size;
            names.insert(param.name.clone(), Place { space: Space::Param, offset: offset as u64 });
        }
        decoder.function(kernel, names, &[]);
        decoder.program.granule = decoder.smallest.trailing_zeros();
        decoder.program
    }
}

impl<'m> Decoder<'m> {
    /// Lays out shared memory: first the variables with a size, then all those without one, at the
    /// same offset.
    fn place_shared(&mut self) {
        let inner = self.module.functions.iter().flat_map(|f| &f.variables);
        let all: Vec<_> = self
            .module
            .variables
            .iter()
            .chain(inner)
            .filter(|v| v.space == ptx::Space::Shared)
            .collect();
        let mut end = 0;
        for variable in all.iter().filter(|v| v.size > 0) {
            end = usize::next_multiple_of(end, variable.align.max(1));
            self.shared.insert(variable.name.clone(), end as u64);
            end += variable.size;
        }
        let align = all.iter().filter(|v| v.size == 0).map(|v| v.align).max().unwrap_or(1);
        end = end.next_multiple_of(align.max(1));
        for variable in all.iter().filter(|v| v.size == 0) {
            self.shared.insert(variable.name.clone(), end as u64);
        }
        self.program.static_shared = end;
    }

    fn new_slot(&mut self, class: Class) -> u32 {
        let counter = &mut self.program.slots[class as usize];
        *counter += 1;
        (*counter - 1) as u32
    }

    fn slot_of(&mut self, class: Class) -> Slot3 {
        let slot = self.new_slot(class);
        match class {
            Class::Pred => Slot3::Pred(slot),
            Class::B32 => Slot3::Value(Slot::Narrow(slot)),
            Class::B64 => Slot3::Value(Slot::Wide(slot)),
        }
    }

    fn constant32(&mut self, value: u32) -> S32 {
        if let Some(&slot) = self.constants32.get(&value) {
            return slot;
        }
        let slot = self.new_slot(Class::B32);
        self.constants32.insert(value, slot);
        self.program.constants32.push((slot, value));
        slot
    }

    fn constant64(&mut self, value: u64) -> S64 {
        if let Some(&slot) = self.constants64.get(&value) {
            return slot;
        }
        let slot = self.new_slot(Class::B64);
        self.constants64.insert(value, slot);
        self.program.constants64.push((slot, value));
        slot
    }

    fn special(&mut self, special: Special) -> S32 {
        if let Some(&(_, slot)) = self.program.specials.iter().find(|(s, _)| *s == special) {
            return slot;
        }
        let slot = self.new_slot(Class::B32);
        self.program.specials.push((special, slot));
        slot
    }

    /// Reserves space in a thread's local memory.
    fn local(&mut self, size: usize, align: usize) -> u64 {
        let at = self.program.local_bytes.next_multiple_of(align.max(1));
        self.program.local_bytes = at + size;
        at as u64
    }

    /// Decodes a function's body. `returns` holds the caller's locations for the returned values.
    fn function(&mut self, function: &Function, names: HashMap<String, Place>, returns: &[Place]) {
        let registers = function.registers.iter().map(|&class| self.slot_of(class)).collect();
        let mut frame = Frame { registers, names };
        for variable in &function.variables {
            if matches!(variable.space, ptx::Space::Local | ptx::Space::Param) {
                let offset = self.local(variable.size, variable.align.max(8));
                frame.names.insert(variable.name.clone(), Place { space: Space::Local, offset });
            }
        }
        for (param, &place) in function.returns.iter().zip(returns) {
            frame.names.insert(param.name.clone(), place);
        }
        // Index of each statement's first instruction; branches are corrected at the end.
        let mut starts = Vec::with_capacity(function.code.len() + 1);
        let first = self.program.code.len();
        let mut returns = Vec::new();
        for statement in &function.code {
            starts.push(self.program.code.len() as u32);
            if matches!(statement.opcode[0].as_str(), "ret") && self.depth > 0 {
                returns.push(self.program.code.len());
            }
            self.statement(statement, &frame);
        }
        let end = self.program.code.len() as u32;
        starts.push(end);
        for at in first..self.program.code.len() {
            if self.program.code[at].source & INNER != 0 {
                continue;
            }
            match &mut self.program.code[at].op {
                Op::Branch(target) => *target = starts[*target as usize],
                Op::BranchTable(_, targets) => {
                    targets.iter_mut().for_each(|target| *target = starts[*target as usize]);
                }
                _ => {}
            }
        }
        for at in returns {
            self.program.code[at].op = Op::Branch(end);
        }
        if self.depth == 0 {
            // The end of a kernel without `ret`.
            self.emit(Op::Exit, ALWAYS, 0, 0);
            for inst in &mut self.program.code {
                inst.source &= !INNER;
            }
        } else {
            for inst in &mut self.program.code[first..] {
                inst.source |= INNER;
            }
        }
    }

    fn emit(&mut self, op: Op, guard: SPred, negate: u32, source: u32) {
        self.program.code.push(Inst { op, guard, negate, source });
    }

    fn statement(&mut self, statement: &Statement, frame: &Frame) {
        let source = self.program.sources.len() as u32;
        self.program.sources.push((statement.line, statement.text.clone()));
        let (mut guard, mut negate) = (ALWAYS, 0);
        let mut bad = None;
        if let Some((reg, negated)) = statement.guard {
            match frame.registers[reg.0 as usize] {
                Slot3::Pred(slot) => (guard, negate) = (slot, if negated { u32::MAX } else { 0 }),
                Slot3::Value(_) => bad = Some("a guard that is not a predicate".to_owned()),
            }
        }
        let op = if let Some(reason) = bad {
            Err(reason)
        } else if statement.opcode[0] == "call" {
            match self.call(statement, frame, guard != ALWAYS) {
                Ok(None) => return,
                Ok(Some(op)) => Ok(op),
                Err(reason) => Err(reason),
            }
        } else {
            Scope { decoder: self, frame }.decode(statement)
        };
        let op = op.unwrap_or_else(|reason| {
            self.program.unknown.push(format!("{}: {reason}", statement.text));
            Op::Unknown(reason.into())
        });
        self.emit(op, guard, negate, source);
    }

    /// Expands a call in place.
    fn call(&mut self, call: &Statement, frame: &Frame, guarded: bool) -> Decoded<Option<Op>> {
        let parens = |operand: Option<&Operand>| match operand {
            Some(Operand::Parens(items)) => Some(items.clone()),
            _ => None,
        };
        let mut operands = call.operands.iter().peekable();
        let returns = parens(operands.peek().copied()).inspect(|_| {
            operands.next();
        });
        let Some(Operand::Symbol(name, _)) = operands.next() else {
            return Err("an indirect call".to_owned());
        };
        if name == "__assertfail" {
            return Ok(Some(Op::AssertFail));
        }
        let arguments = parens(operands.next()).unwrap_or_default();
        let callee = self.module.functions.iter().find(|f| f.name == *name && f.has_body);
        let callee = callee.ok_or_else(|| format!("the function {name} has no body"))?;
        if guarded {
            return Err("a call with a guard".to_owned());
        }
        if self.depth >= 16 {
            return Err("calls nested more than 16 deep, or a recursion".to_owned());
        }
        let place = |operand: &Operand| match operand {
            Operand::Symbol(name, _) => {
                frame.names.get(name).copied().ok_or_else(|| format!("{name} is not declared"))
            }
            _ => Err("a call's argument that is not a parameter variable".to_owned()),
        };
        let mut names = HashMap::new();
        for (param, argument) in callee.params.iter().zip(&arguments) {
            names.insert(param.name.clone(), place(argument)?);
        }
        let returns =
            returns.unwrap_or_default().iter().map(place).collect::<Result<Vec<_>, _>>()?;
        self.depth += 1;
        self.function(callee, names, &returns);
        self.depth -= 1;
        Ok(None)
    }
}

/// Marks instructions of an expanded call, whose branches are already correct.
const INNER: u32 = 1 << 31;

impl Scope<'_, '_> {
    fn decode(&mut self, s: &Statement) -> Decoded<Op> {
        let mut mods = Mods::new(&s.opcode);
        let m = &mut mods;
        let base = s.opcode[0].as_str();
        let op = match base {
            "mov" => self.mov(m, s),
            "add" | "sub" | "mul" | "mad" | "fma" | "div" | "rem" | "abs" | "neg" | "min"
            | "max" => self.arithmetic(base, m, s),
            "and" | "or" | "xor" | "not" | "cnot" | "shl" | "shr" | "shf" | "lop3" | "prmt"
            | "popc" | "clz" | "brev" | "bfind" | "bfe" | "bfi" | "dp4a" | "mul24" | "mad24"
            | "sad" => self.bits(base, m, s),
            "setp" | "set" | "selp" | "slct" => self.comparison(base, m, s),
            "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" | "copysign"
            | "testp" => self.special_function(base, m, s),
            "cvt" => self.convert(m, s),
            "cvta" => self.convert_address(m, s),
            "isspacep" => self.is_space(m, s),
            "ld" | "ldu" | "st" => self.access(base, m, s),
            "atom" | "red" => self.atomic(base, m, s),
            "cp" => self.copy(m, s),
            "mbarrier" => self.mbarrier(m, s),
            "prefetch" | "prefetchu" | "membar" | "fence" | "discard" | "applypriority" => {
                return Ok(Op::Nop);
            }
            "bra" | "brx" | "ret" | "exit" | "trap" | "brkpt" | "nanosleep" => {
                self.flow(base, m, s)
            }
            "bar" | "barrier" | "shfl" | "vote" | "match" | "redux" | "activemask" | "elect" => {
                self.together(base, m, s)
            }
            "mma" | "wmma" | "ldmatrix" | "stmatrix" | "movmatrix" => self.matrix(base, m, s),
            "griddepcontrol" => return Ok(Op::Nop),
            _ => Err("this instruction is not known".to_owned()),
        }?;
        mods.finish()?;
        Ok(op)
    }
}
