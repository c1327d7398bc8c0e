//! Steps for objects that are not in the frame, and the format in which memories are kept.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffer::{Buffer, Given, optional};
use super::grid::{UNITS, grid, unit_in_grid};

/// Copies the row of each object, or another row for objects whose score is not above 0. Returns
/// `false`, without doing anything, if buffers and sizes do not match.
///
/// `rows` and `out`: `[objects, numbers]`, `scores`: `[objects]`, `instead`: `[numbers]`, all in
/// f32.
pub fn mark_absent(
    client: &Client,
    rows: &Buffer,
    scores: &Buffer,
    instead: &Buffer,
    [objects, numbers]: [usize; 2],
    out: &Buffer,
) -> bool {
    let all = objects * numbers;
    if !(rows.holds(all) && out.holds(all) && scores.holds(objects) && instead.holds(numbers)) {
        return false;
    }
    if all == 0 {
        return true;
    }
    // SAFETY: a unit compares its index with the number of values, and sizes are compared with the
    // buffers above.
    unsafe {
        replace_rows::launch_unchecked(
            client,
            grid(all.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            rows.argument(1),
            scores.argument(1),
            instead.argument(1),
            out.argument(1),
            all as u32,
            numbers as u32,
        );
    }
    true
}

#[cube(launch_unchecked)]
fn replace_rows(
    rows: &[f32],
    scores: &[f32],
    instead: &[f32],
    out: &mut [f32],
    all: u32,
    numbers: u32,
) {
    let at = unit_in_grid();
    if at < all as usize {
        let mut value = instead[at % numbers as usize];
        if scores[at / numbers as usize] > 0.0f32 {
            value = rows[at];
        }
        out[at] = value;
    }
}

/// Memories of objects, to be rounded to bfloat16 precision after a vector was added to those of
/// absent objects.
#[derive(Debug)]
pub struct MemoryArgs<'a> {
    /// `[objects, tokens, channels]`, any format.
    pub x: &'a Buffer,
    /// Scores `[objects]` and a vector `[channels]`, f32. The vector is added where the score is
    /// not above 0.
    pub absent: Option<(&'a Buffer, &'a Buffer)>,
    /// `[objects, tokens, channels]`, f32.
    pub out: &'a Buffer,
    /// Number of objects, tokens per object, and channels per token.
    pub size: [usize; 3],
}

/// Finishes memories. Rounds to the nearest bfloat16 value, with ties to even. Returns `false`,
/// without doing anything, if buffers and sizes do not match.
pub fn finish_memory(client: &Client, args: &MemoryArgs<'_>) -> bool {
    let [objects, tokens, channels] = args.size;
    let numbers = objects * tokens * channels;
    let fits = args.x.holds(numbers)
        && args.out.holds(numbers)
        && args
            .absent
            .is_none_or(|(scores, vector)| scores.holds(objects) && vector.holds(channels));
    if !fits {
        return false;
    }
    if numbers == 0 {
        return true;
    }
    // SAFETY: a unit compares its index with the number of values, and sizes are compared with the
    // buffers above.
    unsafe {
        add_and_round::launch_unchecked(
            client,
            grid(numbers.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            args.x.argument(1),
            optional(args.absent.map(|(scores, _)| scores)),
            optional(args.absent.map(|(_, vector)| vector)),
            args.out.argument(1),
            numbers as u32,
            (tokens * channels) as u32,
            channels as u32,
            [args.absent.is_some()],
            args.x.element,
        );
    }
    true
}

#[cube(launch_unchecked)]
// One `if` decides what is compiled, the other is evaluated by each unit.
#[allow(clippy::too_many_arguments, clippy::collapsible_if)]
fn add_and_round<I: Float>(
    x: &[I],
    scores: ComptimeOption<&[f32]>,
    vector: ComptimeOption<&[f32]>,
    out: &mut [f32],
    numbers: u32,
    of_object: u32,
    channels: u32,
    #[comptime] _given: Given<1>,
    #[define(I)] _element: ElemType,
) {
    let at = unit_in_grid();
    if at < numbers as usize {
        let mut value = f32::cast_from(x[at]);
        #[comptime]
        if let ComptimeOption::Some(scores) = &scores {
            #[comptime]
            if let ComptimeOption::Some(vector) = &vector {
                if scores[at / of_object as usize] <= 0.0f32 {
                    value += vector[at % channels as usize];
                }
            }
        }
        out[at] = nearest_bf16(value);
    }
}

/// Rounds by the bits, because not every device supports the format. Infinities and NaNs are kept.
#[cube]
fn nearest_bf16(x: f32) -> f32 {
    let bits = u32::reinterpret(x);
    let mut rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000;
    if (bits & 0x7FFF_FFFF) > 0x7F80_0000 {
        // The highest fraction bit of a NaN is set, so that it does not become an infinity.
        rounded = (bits | 0x0040_0000) & 0xFFFF_0000;
    }
    f32::reinterpret(rounded)
}
