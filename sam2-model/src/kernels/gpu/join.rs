//! Concatenation of buffers.
//!
//! One launch takes all parts as its inputs. If one of them could not be made, the device's runtime
//! then knows that the whole was not made either. With one launch per part, the whole would count
//! as written as soon as one part was written.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffer::{Buffer, common_width, optional_of};
use super::grid::{UNITS, grid, unit_in_grid};

/// Number of parts that one launch can concatenate.
pub const MOST: usize = 8;

/// A part of a longer row.
#[derive(Clone, Debug)]
pub struct Part {
    /// The part's values, in rows of `length`.
    pub buffer: Buffer,
    /// Number of values in a row.
    pub length: usize,
    /// True if the same row is used for all.
    pub repeated: bool,
}

/// Concatenates rows of up to eight parts of one format into rows of the sum of their lengths.
/// Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn join(client: &Client, parts: &[Part], rows: usize, out: &Buffer) -> bool {
    let of_row: usize = parts.iter().map(|part| part.length).sum();
    let fits = (1..=MOST).contains(&parts.len())
        && out.holds(rows * of_row)
        && parts.iter().all(|part| {
            let rows = if part.repeated { 1 } else { rows };
            part.buffer.holds(rows * part.length) && part.buffer.element == out.element
        });
    if !fits {
        return false;
    }
    if rows * of_row == 0 {
        return true;
    }
    let lengths: Vec<usize> = parts.iter().map(|part| part.length).collect();
    let width = common_width(&lengths);
    let part = |index: usize| optional_of(parts.get(index).map(|part| (&part.buffer, width)));
    let mut ends = SequenceArg::<u32>::new();
    let mut steps = SequenceArg::<u32>::new();
    let mut end = 0;
    for index in 0..MOST {
        let length = lengths.get(index).map_or(0, |length| length / width);
        let repeated = parts.get(index).is_some_and(|part| part.repeated);
        end += length;
        ends.push(end as u32);
        steps.push(if repeated { 0 } else { length as u32 });
    }
    // SAFETY: a unit compares its index with the number of values, and sizes were compared with the
    // buffers.
    unsafe {
        together::launch_unchecked(
            client,
            grid((rows * end).div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            width,
            part(0),
            part(1),
            part(2),
            part(3),
            part(4),
            part(5),
            part(6),
            part(7),
            out.argument(width),
            ends,
            steps,
            (rows * end) as u32,
            end as u32,
            parts.len(),
            out.element,
        );
    }
    true
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn together<E: Float, N: Size>(
    a: ComptimeOption<&[Vector<E, N>]>,
    b: ComptimeOption<&[Vector<E, N>]>,
    c: ComptimeOption<&[Vector<E, N>]>,
    d: ComptimeOption<&[Vector<E, N>]>,
    e: ComptimeOption<&[Vector<E, N>]>,
    f: ComptimeOption<&[Vector<E, N>]>,
    g: ComptimeOption<&[Vector<E, N>]>,
    h: ComptimeOption<&[Vector<E, N>]>,
    out: &mut [Vector<E, N>],
    ends: Sequence<u32>,
    steps: Sequence<u32>,
    numbers: u32,
    of_row: u32,
    #[comptime] _parts: usize,
    #[define(E)] _element: ElemType,
) {
    let at = unit_in_grid();
    if at < numbers as usize {
        let row = at / of_row as usize;
        let place = at % of_row as usize;
        copy(&a, out, at, row, place, 0usize, &ends, &steps);
        copy(&b, out, at, row, place, 1usize, &ends, &steps);
        copy(&c, out, at, row, place, 2usize, &ends, &steps);
        copy(&d, out, at, row, place, 3usize, &ends, &steps);
        copy(&e, out, at, row, place, 4usize, &ends, &steps);
        copy(&f, out, at, row, place, 5usize, &ends, &steps);
        copy(&g, out, at, row, place, 6usize, &ends, &steps);
        copy(&h, out, at, row, place, 7usize, &ends, &steps);
    }
}

/// Returns the value at `place` of a row, if it belongs to this part.
#[cube]
#[allow(clippy::too_many_arguments)]
fn copy<E: Float, N: Size>(
    part: &ComptimeOption<&[Vector<E, N>]>,
    out: &mut [Vector<E, N>],
    at: usize,
    row: usize,
    place: usize,
    #[comptime] index: usize,
    ends: &Sequence<u32>,
    steps: &Sequence<u32>,
) {
    #[comptime]
    if let ComptimeOption::Some(part) = part {
        let mut start = 0usize;
        if comptime!(index > 0) {
            start = ends[comptime!(index.saturating_sub(1))] as usize;
        }
        if place >= start && place < ends[index] as usize {
            out[at] = part[row * steps[index] as usize + place - start];
        }
    }
}
