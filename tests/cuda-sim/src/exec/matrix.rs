//! Matrix instructions: their contents, and products of fragments.

use super::float::{bf16_to_f32, f16_to_f32, f32_to_f16, widen_pairs};
use super::lanes::{LANES, V32};
use super::op::{Address, S32};

/// Number format of matrix elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// f16.
    F16,
    /// bf16.
    Bf16,
    /// f32 whose lower 13 bits are ignored.
    Tf32,
    /// f32.
    F32,
}

impl Element {
    /// Returns the number of bytes in memory.
    pub fn bytes(self) -> usize {
        match self {
            Element::F16 | Element::Bf16 => 2,
            Element::Tf32 | Element::F32 => 4,
        }
    }

    /// Returns the number of elements per register.
    fn per_register(self) -> usize {
        4 / self.bytes()
    }

    fn value(self, bits: u32) -> f32 {
        match self {
            Element::F16 => f16_to_f32(bits & 0xffff),
            Element::Bf16 => bf16_to_f32(bits & 0xffff),
            Element::Tf32 => f32::from_bits(bits & !0x1fff),
            Element::F32 => f32::from_bits(bits),
        }
    }
}

/// `ldmatrix` and `stmatrix`.
#[derive(Debug)]
pub struct LoadMatrix {
    /// Address of a row, provided by each lane.
    pub address: Address,
    /// One register for each 8 x 8 matrix.
    pub registers: Vec<S32>,
    /// `.trans`.
    pub transposed: bool,
}

/// `mma.sync` with 16 x 8 results.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Mma {
    pub k: usize,
    /// Format of both factors.
    pub element: Element,
    /// Format of the sums.
    pub sum: Element,
    pub d: Vec<S32>,
    pub a: Vec<S32>,
    pub b: Vec<S32>,
    pub c: Vec<S32>,
}

/// Largest number of registers of a fragment.
const MOST: usize = 8;

/// Returns the elements of a register, lane by lane: as many rows of 4 lanes as fit. For tf32 only
/// the first half is used.
fn elements(register: &V32, element: Element) -> [f32; 2 * LANES] {
    let mut values = [0.0; 2 * LANES];
    match element {
        Element::F16 => widen_pairs(register, &mut values),
        Element::Bf16 => {
            for (pair, bits) in values.chunks_exact_mut(2).zip(register.0) {
                pair[0] = f32::from_bits(bits << 16);
                pair[1] = f32::from_bits(bits & 0xffff_0000);
            }
        }
        _ => {
            for (value, bits) in values.iter_mut().zip(register.0) {
                *value = element.value(bits);
            }
        }
    }
    values
}

impl Mma {
    /// Returns the product and sum of fragments. `a`, `b` and `c` are the values of the registers;
    /// the result has as many registers as `c`.
    ///
    /// Sums are in f32, adding one product after the other. The hardware's order and rounding
    /// within a product are not documented.
    pub fn product(&self, a: &[&V32], b: &[&V32], c: &[&V32]) -> [V32; 4] {
        match self.element.per_register() {
            1 => self.product_of::<1>(a, b, c),
            _ => self.product_of::<2>(a, b, c),
        }
    }

    fn product_of<const PER: usize>(&self, a: &[&V32], b: &[&V32], c: &[&V32]) -> [V32; 4] {
        let mut left = [[0f32; 16]; 16];
        let mut right = [[0f32; 8]; 16];
        // Lane l holds row l / 4 and PER elements from column (l % 4) * PER on. The next registers
        // are 8 rows down, then further right.
        for (r, register) in a.iter().enumerate() {
            let values = elements(register, self.element);
            let (rows, from) = (&mut left[r % 2 * 8..r % 2 * 8 + 8], r / 2 * 4 * PER);
            for (row, part) in rows.iter_mut().zip(values.chunks_exact(4 * PER)) {
                row[from..from + 4 * PER].copy_from_slice(part);
            }
        }
        for (r, register) in b.iter().enumerate() {
            let values = elements(register, self.element);
            let rows = &mut right[r * 4 * PER..(r + 1) * 4 * PER];
            for (column, part) in values.chunks_exact(4 * PER).enumerate().take(8) {
                for (row, value) in rows.iter_mut().zip(part) {
                    row[column] = *value;
                }
            }
        }
        let mut sums = [[0f32; 8]; 16];
        let mut each = |at: usize, row: usize, column: usize, lane: usize| {
            sums[row][column] = match self.sum {
                Element::F16 => self.sum.value(c[at / 2].0[lane] >> (16 * (at % 2))),
                _ => f32::from_bits(c[at].0[lane]),
            };
        };
        for lane in 0..LANES {
            for at in 0..4 {
                each(at, lane / 4 + at / 2 * 8, lane % 4 * 2 + at % 2, lane);
            }
        }
        for (row, sum) in sums.iter_mut().enumerate() {
            // Kept in a register until the row is done.
            let mut row_sum = *sum;
            for (factors, factor) in right.iter().zip(&left[row]).take(self.k) {
                row_sum = std::array::from_fn(|i| factor.mul_add(factors[i], row_sum[i]));
            }
            *sum = row_sum;
        }
        let mut result = [V32::splat(0); 4];
        for lane in 0..LANES {
            for at in 0..4 {
                let sum = sums[lane / 4 + at / 2 * 8][lane % 4 * 2 + at % 2];
                match self.sum {
                    Element::F16 => {
                        result[at / 2].0[lane] |= f32_to_f16(sum) << (16 * (at % 2));
                    }
                    _ => result[at].0[lane] = sum.to_bits(),
                }
            }
        }
        result
    }
}

/// A matrix of `wmma`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Part {
    A,
    B,
    C,
}

impl Part {
    fn size(self, [m, n, k]: [usize; 3]) -> (usize, usize) {
        match self {
            Part::A => (m, k),
            Part::B => (k, n),
            Part::C => (m, n),
        }
    }
}

/// `wmma.load` and `wmma.store`.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct WmmaAccess {
    pub part: Part,
    pub shape: [usize; 3],
    pub row: bool,
    pub element: Element,
    pub address: Address,
    /// Number of elements from one row (or column) to the next.
    pub stride: Option<S32>,
    pub registers: Vec<S32>,
}

impl WmmaAccess {
    /// Checks the number of registers.
    pub fn check(&self) -> Result<(), String> {
        let (rows, columns) = self.part.size(self.shape);
        let needed = rows * columns / LANES / self.element.per_register();
        if !self.registers.len().is_multiple_of(needed) || self.registers.len() > MOST {
            return Err("wmma with a wrong number of registers".to_owned());
        }
        Ok(())
    }

    /// Returns the number of elements from one row (or column) to the next if no stride is given.
    pub fn natural_stride(&self) -> usize {
        let (rows, columns) = self.part.size(self.shape);
        if self.row { columns } else { rows }
    }

    /// Returns the number of contiguous lines in memory (rows or columns), and the number of
    /// elements of each.
    pub fn lines(&self) -> (usize, usize) {
        let (rows, columns) = self.part.size(self.shape);
        if self.row { (rows, columns) } else { (columns, rows) }
    }

    /// Returns the position of an element of a line in a fragment: register, shift, lane.
    pub fn kept(&self, line: usize, at: usize) -> (usize, u32, usize) {
        let columns = self.part.size(self.shape).1;
        let index = if self.row { line * columns + at } else { at * columns + line };
        let (i, per) = (index / LANES, self.element.per_register());
        (i / per, (i % per * 16) as u32, index % LANES)
    }

    /// Returns, for each element of the matrix, its offset in memory (in elements) and its position
    /// in a fragment (register, shift, lane).
    ///
    /// PTX does not define the layout of fragments. Here the i-th element of lane l is the element
    /// 32 i + l of the matrix in row-major order, so that f16 and f32 fragments of the same shape
    /// agree.
    pub fn elements(&self, stride: usize) -> impl Iterator<Item = (usize, usize, u32, usize)> {
        let (lines, length) = self.lines();
        (0..lines * length).map(move |i| {
            let (line, at) = (i / length, i % length);
            let (register, shift, lane) = self.kept(line, at);
            (line * stride + at, register, shift, lane)
        })
    }
}

/// `wmma.mma`.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Fragments {
    pub shape: [usize; 3],
    pub element: Element,
    pub d_element: Element,
    pub c_element: Element,
    pub d: Vec<S32>,
    pub a: Vec<S32>,
    pub b: Vec<S32>,
    pub c: Vec<S32>,
}

impl Fragments {
    /// Checks the numbers of registers.
    pub fn check(&self) -> Result<(), String> {
        let enough = |part: Part, element: Element, registers: &[S32]| {
            let (rows, columns) = part.size(self.shape);
            registers.len() >= rows * columns / LANES / element.per_register()
                && registers.len() <= MOST
        };
        let good = enough(Part::A, self.element, &self.a)
            && enough(Part::B, self.element, &self.b)
            && enough(Part::C, self.c_element, &self.c)
            && enough(Part::C, self.d_element, &self.d);
        if good { Ok(()) } else { Err("wmma with a wrong number of registers".to_owned()) }
    }

    /// Returns the product and sum of fragments.
    pub fn product(&self, a: &[&V32], b: &[&V32], c: &[&V32]) -> [V32; MOST] {
        let [m, n, k] = self.shape;
        let unpack = |registers: &[&V32], count: usize, element: Element| {
            let per = element.per_register();
            let mut values = [0f32; 512];
            for (i, chunk) in values.chunks_mut(LANES).enumerate().take(count / LANES) {
                let register = registers[i / per];
                for (value, bits) in chunk.iter_mut().zip(register.0) {
                    *value = element.value(bits >> (i % per * 16));
                }
            }
            values
        };
        let left = unpack(a, m * k, self.element);
        let right = unpack(b, k * n, self.element);
        let mut sums = unpack(c, m * n, self.c_element);
        for row in 0..m {
            let factors = &left[row * k..(row + 1) * k];
            for column in (0..n).step_by(8) {
                let part = row * n + column..row * n + column + 8;
                // Kept in a register until the row is done.
                let mut sum = [0f32; 8];
                sum.copy_from_slice(&sums[part.clone()]);
                for (factor, values) in factors.iter().zip(right.chunks_exact(n)) {
                    let values = &values[column..column + 8];
                    sum = std::array::from_fn(|i| factor.mul_add(values[i], sum[i]));
                }
                sums[part].copy_from_slice(&sum);
            }
        }
        let per = self.d_element.per_register();
        let mut result = [V32::splat(0); MOST];
        for (at, &sum) in sums.iter().enumerate().take(m * n) {
            let (i, lane) = (at / LANES, at % LANES);
            let bits = match self.d_element {
                Element::F16 => f32_to_f16(sum),
                _ => sum.to_bits(),
            };
            result[i / per].0[lane] |= bits << (i % per * 16);
        }
        result
    }
}
