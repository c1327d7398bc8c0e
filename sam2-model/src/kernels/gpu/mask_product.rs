//! Mask logits from filters of the channels.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffer::{Buffer, common_width};
use super::grid::{UNITS, grid, unit_in_grid};
use super::strided::Maps;

/// Computes `filters · maps`: multiplies `[maps, filters, channels]` in f32 by the channels of each
/// pixel, to `[maps, filters, rows, columns]` in f32. `size` is maps, channels, rows, columns.
/// Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn mask_product(
    client: &Client,
    (filters, count): (&Buffer, usize),
    maps: Maps<'_>,
    size: [usize; 4],
    out: &Buffer,
) -> bool {
    let [batch, channels, rows, columns] = size;
    let places = batch * rows * columns;
    let numbers = places * count;
    if places * count * channels == 0 {
        return numbers == 0;
    }
    if !(maps.hold(size) && filters.holds(batch * count * channels) && out.holds(numbers)) {
        return false;
    }
    let strides = maps.strides_of(size);
    let [by_map, by_channel, by_row, by_column] = strides;
    // Number of channels of a pixel that one access takes.
    let width = match strides {
        [_, 1, _, _] => common_width(&[channels, by_map, by_row, by_column, maps.buffer.length]),
        _ => 1,
    };
    // Counted in vectors from here on.
    let by_step = if width == 1 { by_channel } else { 1 };
    // SAFETY: a unit compares its pixel with their number, and the last values' indices are
    // compared with the buffers above.
    unsafe {
        multiply::launch_unchecked(
            client,
            grid(places.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            width,
            filters.argument(width),
            maps.buffer.argument(width),
            out.argument(1),
            places as u32,
            rows as u32,
            columns as u32,
            (by_map / width) as u32,
            by_step as u32,
            (by_row / width) as u32,
            (by_column / width) as u32,
            [count, channels / width],
            maps.buffer.element,
        );
    }
    true
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn multiply<X: Float, N: Size>(
    filters: &[Vector<f32, N>],
    maps: &[Vector<X, N>],
    out: &mut [f32],
    places: u32,
    rows: u32,
    columns: u32,
    by_map: u32,
    by_step: u32,
    by_row: u32,
    by_column: u32,
    #[comptime] size: [usize; 2],
    #[define(X)] _element: ElemType,
) {
    let at = unit_in_grid();
    let count = comptime!(size[0]);
    let steps = comptime!(size[1]);
    if at < places as usize {
        let (rows, columns) = (rows as usize, columns as usize);
        let column = at % columns;
        let row = at / columns % rows;
        let map = at / columns / rows;
        let start = map * by_map as usize + row * by_row as usize + column * by_column as usize;
        let width = maps.vector_size();
        let mut sums = Array::<f32>::new(count);
        #[unroll]
        for filter in 0..count {
            sums[filter] = 0.0f32;
        }
        for step in 0..steps {
            let value = Vector::<f32, N>::cast_from(maps[start + step * by_step as usize]);
            #[unroll]
            for filter in 0..count {
                let factors = filters[(map * count + filter) * steps + step];
                #[unroll]
                for lane in 0..width {
                    sums[filter] += value.extract(lane) * factors.extract(lane);
                }
            }
        }
        let place = row * columns + column;
        #[unroll]
        for filter in 0..count {
            out[(map * count + filter) * rows * columns + place] = sums[filter];
        }
    }
}
