//! Reads Python pickles, as far as they are plain data. Never calls or imports anything.
//!
//! Every protocol's opcodes are known (Python's `pickletools` lists them). A value that the pickle
//! would import or construct becomes an empty dictionary, so that it does not affect the rest. The
//! calls that make numpy's numbers and arrays are kept as they stand, and `pickle_numpy` reads
//! them. Values lie in an arena and refer to each other by position. Neither deep nesting nor a
//! value that is mentioned a million times therefore costs more than its bytes. Existing crates
//! convert values recursively and copy them, which is why none is used here.

use std::collections::HashMap;

use super::pickle_numpy::Callable;

/// A value, with positions in the arena for its items.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Bool(bool),
    Text(String),
    Sequence(Vec<usize>),
    /// Keys and values, in order. A value that the pickle would have constructed is an empty
    /// dictionary.
    Dictionary(Vec<(usize, usize)>),
    /// Bytes of the pickle: their start and their number.
    Bytes(usize, usize),
    /// A function or type with which numpy makes its numbers.
    Callable(Callable),
    /// A call of such a function: its arguments, and the state that the result would be given
    /// afterwards.
    Call {
        callable: Callable,
        arguments: usize,
        state: Option<usize>,
    },
    None,
    Other,
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    root: usize,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle. Returns `None` if it is damaged.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut machine = Machine { rest: bytes, length: bytes.len(), ..Machine::default() };
        while !machine.step()? {}
        let root = machine.stack.pop()?;
        Some(Self { bytes, values: machine.values, root })
    }

    /// Returns the value at a position.
    pub(super) fn at(&self, place: usize) -> Option<&Value> {
        self.values.get(place)
    }

    /// Returns the bytes of [`Value::Bytes`].
    pub(super) fn bytes(&self, start: usize, count: usize) -> Option<&'a [u8]> {
        self.bytes.get(start..start.checked_add(count)?)
    }

    /// Returns the outermost value.
    pub(super) fn root(&self) -> &Value {
        self.values.get(self.root).unwrap_or(&Value::Other)
    }

    /// Returns the value of a key in a dictionary: the last one, as in Python.
    pub(super) fn entry(&self, dictionary: &Value, key: &str) -> Option<&Value> {
        let Value::Dictionary(entries) = dictionary else { return None };
        let is_key =
            |place: usize| matches!(self.values.get(place), Some(Value::Text(t)) if t == key);
        let (_, value) = entries.iter().rev().find(|(name, _)| is_key(*name))?;
        self.values.get(*value)
    }

    /// Returns a number or truth value (0 or 1), including numpy's.
    pub(super) fn number(&self, value: &Value) -> Option<f64> {
        match value {
            Value::Number(number) => Some(*number),
            Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
            _ => self.numpy_number(value),
        }
    }

    /// Returns the numbers of a list, a tuple or a numpy array, if it holds nothing else.
    pub(super) fn numbers(&self, sequence: &Value) -> Option<Vec<f64>> {
        let Value::Sequence(items) = sequence else { return self.numpy_array(sequence) };
        items.iter().map(|&place| self.number(self.at(place)?)).collect()
    }
}

/// The stack machine that executes a pickle.
#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    /// Length of the pickle in bytes.
    length: usize,
    values: Vec<Value>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: HashMap<u64, usize>,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Reads an unsigned integer of this many bytes, lowest byte first.
    fn unsigned(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(taken.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Reads the rest of the line.
    fn line(&mut self) -> Option<&'a str> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).ok()
    }

    /// Reads bytes that follow their count. The count itself takes `bytes` bytes.
    fn counted(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let count = usize::try_from(self.unsigned(bytes)?).ok()?;
        self.take(count)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn text(&mut self, bytes: usize) -> Option<()> {
        let text = String::from_utf8_lossy(self.counted(bytes)?).into_owned();
        self.push(Value::Text(text));
        Some(())
    }

    /// Pops everything that was pushed since the last mark.
    fn since_mark(&mut self) -> Option<Vec<usize>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len())?;
        Some(self.stack.split_off(mark))
    }

    /// Pops the last `count` values of the stack, which become one value.
    fn gather(&mut self, count: usize) -> Option<Vec<usize>> {
        let from = self.stack.len().checked_sub(count)?;
        Some(self.stack.split_off(from))
    }

    fn append(&mut self, items: &[usize]) -> Option<()> {
        // An object that the pickle would have constructed can be given items too.
        if let Value::Sequence(known) = self.values.get_mut(*self.stack.last()?)? {
            known.extend_from_slice(items);
        }
        Some(())
    }

    fn set(&mut self, items: &[usize]) -> Option<()> {
        if let Value::Dictionary(known) = self.values.get_mut(*self.stack.last()?)? {
            known.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Some(())
    }

    fn remember(&mut self, name: u64) -> Option<()> {
        self.memo.insert(name, *self.stack.last()?);
        Some(())
    }

    fn recall(&mut self, name: u64) -> Option<()> {
        self.stack.push(*self.memo.get(&name)?);
        Some(())
    }

    /// Replaces a callable and its arguments by the result: a call of numpy's, or an empty
    /// dictionary for anything that only Python could make.
    fn call(&mut self) -> Option<()> {
        let [callable, arguments] = self.gather(2)?[..] else { return None };
        self.push(match self.values.get(callable)? {
            Value::Callable(callable) => {
                Value::Call { callable: *callable, arguments, state: None }
            }
            _ => Value::Dictionary(Vec::new()),
        });
        Some(())
    }

    /// Pushes what a name means in a module.
    fn import(&mut self, module: &str, name: &str) {
        self.push(match Callable::named(module, name) {
            Some(callable) => Value::Callable(callable),
            None => Value::Dictionary(Vec::new()),
        });
    }

    /// Replaces the texts of a module and a name by what they mean.
    fn import_from_stack(&mut self) -> Option<()> {
        let [module, name] = self.gather(2)?[..] else { return None };
        let text = |place: usize| match self.values.get(place) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let callable = text(module).zip(text(name));
        let callable = callable.and_then(|(module, name)| Callable::named(module, name));
        self.push(callable.map_or(Value::Dictionary(Vec::new()), Value::Callable));
        Some(())
    }

    /// Gives the last value of the stack its state.
    fn build(&mut self) -> Option<()> {
        let told = self.stack.pop()?;
        if let Value::Call { state, .. } = self.values.get_mut(*self.stack.last()?)? {
            *state = Some(told);
        }
        Some(())
    }

    /// Replaces the last values by one that only Python could make of them.
    fn construct(&mut self, count: usize) -> Option<()> {
        self.gather(count)?;
        self.push(Value::Dictionary(Vec::new()));
        Some(())
    }

    /// Runs one operation. Returns `Some(true)` at the end of the pickle.
    fn step(&mut self) -> Option<bool> {
        let [operation] = *self.take(1)? else { return None };
        match operation {
            b'.' => return Some(true),
            // Protocol, frame, and opcodes without meaning here.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            0x98 => {}
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.stack.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => self.stack.push(*self.stack.last()?),
            b'N' => self.push(Value::None),
            0x97 => self.push(Value::Other),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'I' | b'L' | b'F' => {
                let value = match self.line()? {
                    "01" if operation == b'I' => Value::Bool(true),
                    "00" if operation == b'I' => Value::Bool(false),
                    text => Value::Number(text.trim_end_matches('L').parse().ok()?),
                };
                self.push(value);
            }
            b'J' => {
                let number = self.unsigned(4)? as u32 as i32;
                self.push(Value::Number(f64::from(number)));
            }
            b'K' | b'M' => {
                let number = self.unsigned(if operation == b'K' { 1 } else { 2 })?;
                self.push(Value::Number(number as f64));
            }
            0x8a | 0x8b => {
                let bytes = self.counted(if operation == 0x8a { 1 } else { 4 })?;
                self.push(whole_number(bytes));
            }
            b'G' => {
                let bytes = self.take(8)?.try_into().ok()?;
                self.push(Value::Number(f64::from_be_bytes(bytes)));
            }
            b'S' | b'V' => {
                let line = self.line()?;
                let line = if operation == b'S' { line.trim_matches(['\'', '"']) } else { line };
                self.push(Value::Text(line.to_owned()));
            }
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' | b'B' | 0x8e | 0x96 => {
                let bytes = match operation {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                };
                let count = self.counted(bytes)?.len();
                self.push(Value::Bytes(self.length - self.rest.len() - count, count));
            }
            b']' | b')' | 0x8f => self.push(Value::Sequence(Vec::new())),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b'l' | b't' | 0x91 => {
                let items = self.since_mark()?;
                self.push(Value::Sequence(items));
            }
            0x85..=0x87 => {
                let items = self.gather(usize::from(operation - 0x84))?;
                self.push(Value::Sequence(items));
            }
            b'd' => {
                let items = self.since_mark()?;
                self.push(Value::Dictionary(Vec::new()));
                self.set(&items)?;
            }
            b'a' => {
                let items = self.gather(1)?;
                self.append(&items)?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let items = self.gather(2)?;
                self.set(&items)?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'p' | b'g' => {
                let name = self.line()?.parse().ok()?;
                if operation == b'p' { self.remember(name)? } else { self.recall(name)? }
            }
            b'q' | b'r' => {
                let name = self.unsigned(if operation == b'q' { 1 } else { 4 })?;
                self.remember(name)?;
            }
            b'h' | b'j' => {
                let name = self.unsigned(if operation == b'h' { 1 } else { 4 })?;
                self.recall(name)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            // Opcodes with which Python would import, call or construct something.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.import(module, name);
            }
            b'i' => {
                self.line()?;
                self.line()?;
                self.since_mark()?;
                self.construct(0)?;
            }
            b'o' => {
                self.since_mark()?;
                self.construct(0)?;
            }
            0x93 => self.import_from_stack()?,
            b'R' => self.call()?,
            0x81 => self.construct(2)?,
            0x92 => self.construct(3)?,
            b'b' => self.build()?,
            b'P' => {
                self.line()?;
                self.construct(0)?;
            }
            b'Q' => self.construct(1)?,
            0x82..=0x84 => {
                self.take([1, 2, 4][usize::from(operation - 0x82)])?;
                self.construct(0)?;
            }
            _ => return None,
        }
        Some(false)
    }
}

/// Reads a whole number of any length, in two's complement, lowest byte first. Numbers that do not
/// fit into 64 bits are not used.
fn whole_number(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let is_negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut all = [if is_negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Value::Number(i64::from_le_bytes(all) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_data_of_old_and_new_protocols() {
        // Python: pickle.dumps({"a": [1, 300, -2, 0.5], "b": True}, N)
        let zero = b"(dp0\nVa\np1\n(lp2\nI1\naI300\naI-2\naF0.5\nasVb\np3\nI01\ns.".as_slice();
        let four = b"\x80\x04\x95\x25\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01M\x2c\x01J\xfe\xff\xff\xffG?\xe0\0\0\0\0\0\0e\x8c\x01b\x94\x88u.".as_slice();
        for bytes in [zero, four] {
            let pickle = Pickle::read(bytes).unwrap();
            let numbers = pickle.entry(pickle.root(), "a").and_then(|list| pickle.numbers(list));
            assert_eq!(numbers.unwrap(), [1.0, 300.0, -2.0, 0.5]);
            assert_eq!(pickle.entry(pickle.root(), "b"), Some(&Value::Bool(true)));
            assert_eq!(pickle.entry(pickle.root(), "c"), None);
        }
    }

    #[test]
    fn what_would_be_called_is_not() {
        // Python: {"a": os.system("true"), "b": 1}
        let bytes = b"}(Va\ncos\nsystem\n(S'true'\ntRVb\nK\x01u.";
        let pickle = Pickle::read(bytes).unwrap();
        let called = pickle.entry(pickle.root(), "a");
        assert_eq!(called, Some(&Value::Dictionary(Vec::new())));
        assert_eq!(pickle.entry(pickle.root(), "b"), Some(&Value::Number(1.0)));
    }

    #[test]
    fn deep_and_hollow_pickles_cost_their_bytes() {
        assert!(Pickle::read(&[b"]".repeat(1 << 20), b".".to_vec()].concat()).is_some());
        for claim in [
            b"B\xff\xff\xff\xff.".as_slice(),
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
            b"t.",
            b"h\x07.",
            b"",
        ] {
            assert!(Pickle::read(claim).is_none(), "{claim:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pickle::read(&bytes);
        }

        #[test]
        fn never_panics_on_operations(text in "[(\\])}lteaudsKU012NIpq.]{0,60}") {
            let _ = Pickle::read(text.as_bytes());
        }
    }
}
