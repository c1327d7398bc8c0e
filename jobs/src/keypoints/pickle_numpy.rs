//! Reads numpy's numbers and small arrays in a pickle without calling anything.
//!
//! Numpy pickles a number as `scalar(dtype, bytes)`. It pickles an array as `_reconstruct(...)`,
//! which is then given its shape, type and bytes, or, with protocol 5, as
//! `_frombuffer(bytes, dtype, shape, order)`. Before version 2 it calls its own module
//! `numpy.core`, after that `numpy._core`. Old protocols write bytes as text, with one letter for
//! each (`_codecs.encode`).

use std::borrow::Cow;

use super::pickle::{Pickle, Value};

/// Largest number of letters or bytes with an array's numbers. Only small arrays are needed.
const MOST_BYTES: usize = 1024;

/// The functions and types with which numpy makes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    /// `numpy.core.multiarray.scalar`.
    Scalar,
    /// `numpy.core.multiarray._reconstruct`.
    Reconstruct,
    /// `numpy.core.numeric._frombuffer`.
    FromBuffer,
    /// `numpy.dtype`.
    Dtype,
    /// `_codecs.encode`.
    Encode,
}

impl Callable {
    /// Returns what a name means in a module. Returns `None` for everything that is not known to be
    /// harmless.
    pub(super) fn named(module: &str, name: &str) -> Option<Self> {
        let module = module.replacen("numpy._core.", "numpy.core.", 1);
        match (module.as_str(), name) {
            ("numpy.core.multiarray", "scalar") => Some(Self::Scalar),
            ("numpy.core.multiarray", "_reconstruct") => Some(Self::Reconstruct),
            ("numpy.core.numeric", "_frombuffer") => Some(Self::FromBuffer),
            ("numpy", "dtype") => Some(Self::Dtype),
            ("_codecs", "encode") => Some(Self::Encode),
            _ => None,
        }
    }
}

/// How a number is stored.
#[derive(Clone, Copy, Debug)]
struct Type {
    /// `b` Boolean, `i` signed and `u` unsigned integer, `f` floating-point number.
    kind: u8,
    bytes: usize,
    is_little: bool,
}

impl Type {
    fn read(self, stored: &[u8]) -> Option<f64> {
        if stored.len() != self.bytes {
            return None;
        }
        let mut little = [0; 8];
        for (to, from) in little.iter_mut().zip(0..self.bytes) {
            *to = stored[if self.is_little { from } else { self.bytes - 1 - from }];
        }
        let unused = 64 - 8 * self.bytes as u32;
        let whole = u64::from_le_bytes(little);
        let [a, b, c, d, ..] = little;
        match (self.kind, self.bytes) {
            (b'f', 8) => Some(f64::from_le_bytes(little)),
            (b'f', 4) => Some(f64::from(f32::from_le_bytes([a, b, c, d]))),
            (b'b' | b'u', _) => Some(whole as f64),
            (b'i', _) => Some(((whole << unused) as i64 >> unused) as f64),
            _ => None,
        }
    }
}

impl Pickle<'_> {
    /// Returns one of numpy's numbers, or the element of an array with only one.
    pub(super) fn numpy_number(&self, value: &Value) -> Option<f64> {
        match value {
            Value::Call { callable: Callable::Scalar, arguments, .. } => {
                let [dtype, bytes] = self.items(*arguments)?[..] else { return None };
                self.dtype(dtype)?.read(&self.raw(bytes)?)
            }
            _ => match self.numpy_array(value)?[..] {
                [number] => Some(number),
                _ => None,
            },
        }
    }

    /// Returns the numbers of a numpy array in the order in which they are stored, which is all
    /// there is to an array of one dimension.
    pub(super) fn numpy_array(&self, value: &Value) -> Option<Vec<f64>> {
        let Value::Call { callable, arguments, state } = value else { return None };
        let (shape, dtype, bytes) = match callable {
            Callable::Reconstruct => match self.items((*state)?)?[..] {
                [_, shape, dtype, _, bytes] => (shape, dtype, bytes),
                _ => return None,
            },
            Callable::FromBuffer => match self.items(*arguments)?[..] {
                [bytes, dtype, shape, _] => (shape, dtype, bytes),
                _ => return None,
            },
            _ => return None,
        };
        if self.items(shape)?.len() > 1 {
            return None;
        }
        let (dtype, bytes) = (self.dtype(dtype)?, self.raw(bytes)?);
        bytes.chunks(dtype.bytes).map(|stored| dtype.read(stored)).collect()
    }

    fn items(&self, place: usize) -> Option<&[usize]> {
        match self.at(place)? {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    fn text(&self, place: usize) -> Option<&str> {
        match self.at(place)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads `dtype('i8', ...)` that is given the state `(3, '<', ...)`.
    fn dtype(&self, place: usize) -> Option<Type> {
        let Value::Call { callable: Callable::Dtype, arguments, state } = self.at(place)? else {
            return None;
        };
        let name = self.text(*self.items(*arguments)?.first()?)?;
        let (&kind, digits) = name.as_bytes().split_first()?;
        let bytes = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let order = match state {
            Some(state) => self.text(*self.items(*state)?.get(1)?)?,
            None => "=",
        };
        (1..=8).contains(&bytes).then_some(Type { kind, bytes, is_little: order != ">" })
    }

    fn raw(&self, place: usize) -> Option<Cow<'_, [u8]>> {
        let text = match self.at(place)? {
            Value::Bytes(start, count) if *count <= MOST_BYTES => {
                return self.bytes(*start, *count).map(Cow::Borrowed);
            }
            Value::Text(text) => text,
            Value::Call { callable: Callable::Encode, arguments, .. } => {
                self.text(*self.items(*arguments)?.first()?)?
            }
            _ => return None,
        };
        let bytes = || text.chars().map(|letter| u8::try_from(u32::from(letter)).ok());
        if text.len() > 2 * MOST_BYTES {
            None
        } else {
            bytes().collect::<Option<_>>().map(Cow::Owned)
        }
    }
}
