//! Attention that never stores all its scores. Keys are divided among cubes if queries are few.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::attention_mma::attend_mma;
use super::attention_plan::{
    AttentionArgs, Grid, KEYS, NOTHING, PlacesOnDevice, Plan, QUERIES, place_of,
};
use super::buffer::optional;
use super::grid::{cube_in_grid, grid};
use super::number::within;

/// Channels of queries and keys that are in shared memory at a time.
const DEPTH: usize = 16;
/// Columns of values that are in shared memory at a time.
const COLUMNS: usize = 64;
/// Units per cube.
const UNITS: usize = 256;
/// Attends. Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn attention(client: &Client, args: &AttentionArgs<'_>) -> bool {
    let of_map = args.windows.map_or(args.tokens[0], |[queries, _]| queries.size.iter().product());
    if args.maps * args.heads * of_map == 0 {
        return true;
    }
    let Some(plan) = Plan::of(client, args) else { return false };
    if !attend_mma(client, &plan) {
        attend_plain(client, &plan);
    }
    if let Some((sums, stats)) = &plan.parts {
        let rows = plan.groups * plan.queries;
        // SAFETY: rows are compared with their number. Sums and stats have the lengths given by
        // pieces and rows, and the layouts were compared with the buffers.
        unsafe {
            merge::launch_unchecked(
                client,
                grid(rows),
                CubeDim::new_1d(64),
                sums.argument(1),
                stats.argument(1),
                args.out.0.argument(1),
                plan.places(args.out.1),
                plan.query_grid(),
                args.heads as u32,
                plan.windows as u32,
                plan.queries as u32,
                plan.pieces as u32,
                rows as u32,
                Shape::of(&plan),
                args.out.0.element,
            );
        }
    }
    true
}

/// Attends without matrix units and operations across a plane.
fn attend_plain(client: &Client, plan: &Plan<'_>) {
    let args = plan.args;
    let (outside, starts) = args.outside.unwrap_or((args.q.0, [0, 0]));
    let (sums, stats) = plan.results();
    let elements = [&args.q.0, &args.k.0, &args.v.0, &outside, &sums].map(|buffer| buffer.element);
    // SAFETY: the kernel compares tokens with their number and with the map's edges, and the
    // highest indices that it reaches were compared with the buffers.
    unsafe {
        attend::launch_unchecked(
            client,
            plan.grid(QUERIES),
            CubeDim::new_1d(UNITS as u32),
            args.q.0.argument(1),
            args.k.0.argument(1),
            args.v.0.argument(1),
            optional(args.outside.map(|(outside, _)| outside)),
            sums.argument(1),
            optional(stats),
            plan.places(args.q.1),
            plan.places(args.k.1),
            plan.places(args.v.1),
            plan.places(args.out.1),
            plan.query_grid(),
            plan.key_grid(),
            starts[0] as u32,
            starts[1] as u32,
            args.heads as u32,
            plan.windows as u32,
            plan.queries as u32,
            plan.keys as u32,
            plan.keys_of_piece as u32,
            (plan.groups * plan.blocks(QUERIES)) as u32,
            1.0 / (args.widths[0] as f32).sqrt(),
            Shape::of(plan),
            elements,
        );
    }
}

/// Compile-time parameters of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    width: usize,
    value_width: usize,
    windowed: bool,
    in_pieces: bool,
    clamped: bool,
}

impl Shape {
    fn of(plan: &Plan<'_>) -> Self {
        let [width, value_width] = plan.args.widths;
        Self {
            width,
            value_width,
            windowed: plan.args.windows.is_some(),
            in_pieces: plan.pieces > 1,
            clamped: plan.clamped(),
        }
    }
}

type F4 = Vector<f32, Const<4>>;
type F2 = Vector<f32, Const<2>>;

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn attend<Q: Float, K: Float, V: Float, B: Float, O: Float>(
    q: &[Q],
    k: &[K],
    v: &[V],
    outside: ComptimeOption<&[B]>,
    out: &mut [O],
    mut stats: ComptimeOption<&mut [f32]>,
    q_places: PlacesOnDevice,
    k_places: PlacesOnDevice,
    v_places: PlacesOnDevice,
    out_places: PlacesOnDevice,
    query_grid: Grid,
    key_grid: Grid,
    outside_keys: u32,
    outside_values: u32,
    heads: u32,
    windows: u32,
    queries: u32,
    keys: u32,
    keys_of_piece: u32,
    cubes: u32,
    scale: f32,
    #[comptime] shape: Shape,
    #[define(Q, K, V, B, O)] _elements: [ElemType; 5],
) {
    let width = comptime!(shape.width);
    let value_width = comptime!(shape.value_width);
    let windowed = comptime!(shape.windowed);
    let unit = UNIT_POS as usize;
    let (my_row, my_column) = (unit / 16, unit % 16);
    let queries = queries as usize;
    let blocks = queries.div_ceil(QUERIES);
    let cube = cube_in_grid();
    let group = cube / blocks;
    let first_query = cube % blocks * QUERIES;
    let head = group % heads as usize;
    let window = group / heads as usize % windows as usize;
    let map = group / heads as usize / windows as usize;
    let piece = CUBE_POS_Z as usize;

    // Lines are one element longer than needed, to avoid bank conflicts.
    let q_line = comptime!(QUERIES / 4 + 1);
    let k_line = comptime!(KEYS / 2 + 1);
    let score_line = comptime!(KEYS + 1);
    let mut q_tile = Shared::<[F4]>::new_slice(comptime!(DEPTH * (QUERIES / 4 + 1)));
    let mut k_tile = Shared::<[F2]>::new_slice(comptime!(DEPTH * (KEYS / 2 + 1)));
    let mut scores = Shared::<[f32]>::new_slice(comptime!(QUERIES * (KEYS + 1)));
    let mut v_tile = Shared::<[F4]>::new_slice(comptime!(KEYS * COLUMNS / 4));
    // For each query: four parts of a maximum or a sum, the largest score so far, and the factor
    // that rescales earlier sums.
    let mut parts = Shared::<[f32]>::new_slice(comptime!(QUERIES * 4));
    let mut shrinks = Shared::<[f32]>::new_slice(QUERIES);

    let chunks = comptime!(value_width.div_ceil(COLUMNS));
    let mut sums = Array::<F4>::new(comptime!(4 * value_width.div_ceil(COLUMNS)));
    #[unroll]
    for i in 0..comptime!(4 * chunks) {
        sums[i] = F4::new(0.0);
    }
    // This unit handles a quarter of the keys of a step, for one query.
    let (soft_query, soft_part) = (unit / 4, unit % 4);
    let mut largest = f32::new(NOTHING);
    let mut total = 0.0f32;

    let first_key = piece * keys_of_piece as usize;
    let end = min(first_key + keys_of_piece as usize, keys as usize);
    if cube < cubes as usize {
        let mut start = first_key;
        while start < end {
            // Scores of 64 queries and 32 keys; each unit computes 4 x 2 of them.
            let mut s0 = F4::new(0.0);
            let mut s1 = F4::new(0.0);
            let mut depth = 0usize;
            while depth < width {
                let channel = depth + unit % DEPTH;
                let four = unit / DEPTH;
                let mut value = F4::new(0.0);
                #[unroll]
                for i in 0..4usize {
                    let token = first_query + four * 4 + i;
                    let (at, inside) =
                        place_of(token, map, window, head, &q_places, &query_grid, windowed);
                    if channel < width && token < queries && inside {
                        value.insert(i, f32::cast_from(q[at + channel]) * scale);
                    }
                }
                q_tile[unit % DEPTH * q_line + four] = value;
                let mut value = F2::new(0.0);
                #[unroll]
                for i in 0..2usize {
                    let token = start + four * 2 + i;
                    if channel < width && token < end {
                        let (at, inside) =
                            place_of(token, map, window, head, &k_places, &key_grid, windowed);
                        if inside {
                            value.insert(i, f32::cast_from(k[at + channel]));
                        } else {
                            #[comptime]
                            if let ComptimeOption::Some(outside) = &outside {
                                let at = outside_keys as usize + head * width + channel;
                                value.insert(i, f32::cast_from(outside[at]));
                            }
                        }
                    }
                }
                k_tile[unit % DEPTH * k_line + four] = value;
                sync_cube();
                #[unroll]
                for c in 0..DEPTH {
                    let a = q_tile[c * q_line + my_row];
                    let b = k_tile[c * k_line + my_column];
                    s0 += a * F4::new(b.extract(0usize));
                    s1 += a * F4::new(b.extract(1usize));
                }
                sync_cube();
                depth += DEPTH;
            }
            #[unroll]
            for i in 0..4usize {
                let at = (my_row * 4 + i) * score_line + my_column * 2;
                // Keys after the end get no weight.
                let (mut a, mut b) = (s0.extract(i), s1.extract(i));
                if start + my_column * 2 >= end {
                    a = f32::new(NOTHING);
                }
                if start + my_column * 2 + 1 >= end {
                    b = f32::new(NOTHING);
                }
                scores[at] = a;
                scores[at + 1] = b;
            }
            sync_cube();
            // The softmax of the scores so far.
            let base = soft_query * score_line + soft_part * comptime!(KEYS / 4);
            let mut best = largest;
            #[unroll]
            for i in 0..comptime!(KEYS / 4) {
                best = max(best, scores[base + i]);
            }
            parts[unit] = best;
            sync_cube();
            #[unroll]
            for i in 0..4usize {
                best = max(best, parts[soft_query * 4 + i]);
            }
            let shrink = (largest - best).exp();
            largest = best;
            total *= shrink;
            #[unroll]
            for i in 0..comptime!(KEYS / 4) {
                let weight = (scores[base + i] - best).exp();
                total += weight;
                scores[base + i] = weight;
            }
            if soft_part == 0 {
                shrinks[soft_query] = shrink;
            }
            sync_cube();
            #[unroll]
            for i in 0..4usize {
                let shrink = shrinks[my_row * 4 + i];
                #[unroll]
                for chunk in 0..chunks {
                    sums[chunk * 4 + i] *= F4::new(shrink);
                }
            }
            // Weights times values, 64 columns at a time.
            #[unroll]
            for chunk in 0..chunks {
                #[unroll]
                for i in 0..comptime!(KEYS * COLUMNS / 4 / UNITS) {
                    let four = i * UNITS + unit;
                    let token = start + four / comptime!(COLUMNS / 4);
                    let column = chunk * COLUMNS + four % comptime!(COLUMNS / 4) * 4;
                    let mut value = F4::new(0.0);
                    if token < end {
                        let (at, inside) =
                            place_of(token, map, window, head, &v_places, &key_grid, windowed);
                        #[unroll]
                        for lane in 0..4usize {
                            if column + lane < value_width {
                                if inside {
                                    value.insert(lane, f32::cast_from(v[at + column + lane]));
                                } else {
                                    #[comptime]
                                    if let ComptimeOption::Some(outside) = &outside {
                                        let at =
                                            outside_values as usize + head * value_width + column;
                                        value.insert(lane, f32::cast_from(outside[at + lane]));
                                    }
                                }
                            }
                        }
                    }
                    v_tile[four] = value;
                }
                sync_cube();
                for key in 0..KEYS {
                    let value = v_tile[key * comptime!(COLUMNS / 4) + my_column];
                    #[unroll]
                    for i in 0..4usize {
                        let weight = scores[(my_row * 4 + i) * score_line + key];
                        sums[chunk * 4 + i] += F4::new(weight) * value;
                    }
                }
                sync_cube();
            }
            start += KEYS;
        }
        parts[unit] = total;
        if soft_part == 0 {
            shrinks[soft_query] = largest;
        }
        sync_cube();
        #[unroll]
        for i in 0..4usize {
            let row = my_row * 4 + i;
            let token = first_query + row;
            let all = parts[row * 4] + parts[row * 4 + 1] + parts[row * 4 + 2] + parts[row * 4 + 3];
            let (at, inside) =
                place_of(token, map, window, head, &out_places, &query_grid, windowed);
            if token < queries && inside {
                #[comptime]
                if let ComptimeOption::Some(stats) = &mut stats {
                    let rows = cubes as usize / blocks * queries;
                    let place = piece * rows + group * queries + token;
                    if my_column == 0 {
                        stats[place * 2] = shrinks[row];
                        stats[place * 2 + 1] = all;
                    }
                    store(out, place * value_width, &sums, i, my_column, 1.0f32, shape);
                } else {
                    store(out, at, &sums, i, my_column, 1.0f32 / all, shape);
                }
            }
        }
    }
}

/// Writes one row's columns of this unit, times a factor.
#[cube]
fn store<O: Float>(
    out: &mut [O],
    at: usize,
    sums: &Array<F4>,
    #[comptime] row: usize,
    my_column: usize,
    factor: f32,
    #[comptime] shape: Shape,
) {
    #[unroll]
    for chunk in 0..comptime!(shape.value_width.div_ceil(COLUMNS)) {
        #[unroll]
        for lane in 0..4usize {
            let column = chunk * COLUMNS + my_column * 4 + lane;
            if column < comptime!(shape.value_width) {
                let value = sums[chunk * 4 + row].extract(lane) * factor;
                let clamped = comptime!(shape.clamped && !shape.in_pieces);
                out[at + column] = O::cast_from(within(value, clamped));
            }
        }
    }
}

/// Combines the pieces of one query, with one cube per query.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn merge<O: Float>(
    sums: &[f32],
    stats: &[f32],
    out: &mut [O],
    out_places: PlacesOnDevice,
    query_grid: Grid,
    heads: u32,
    windows: u32,
    queries: u32,
    pieces: u32,
    rows: u32,
    #[comptime] shape: Shape,
    #[define(O)] _element: ElemType,
) {
    let row = cube_in_grid();
    let value_width = comptime!(shape.value_width);
    if row < rows as usize {
        let group = row / queries as usize;
        let token = row % queries as usize;
        let head = group % heads as usize;
        let window = group / heads as usize % windows as usize;
        let map = group / heads as usize / windows as usize;
        let (at, inside) =
            place_of(token, map, window, head, &out_places, &query_grid, comptime!(shape.windowed));
        if inside {
            let mut largest = f32::new(NOTHING);
            for piece in 0..pieces as usize {
                largest = max(largest, stats[(piece * rows as usize + row) * 2]);
            }
            let chunks = comptime!(value_width.div_ceil(64));
            let mut of_columns = Array::<f32>::new(chunks);
            #[unroll]
            for chunk in 0..chunks {
                of_columns[chunk] = 0.0f32;
            }
            let mut total = 0.0f32;
            for piece in 0..pieces as usize {
                let place = piece * rows as usize + row;
                let share = (stats[place * 2] - largest).exp();
                total += stats[place * 2 + 1] * share;
                #[unroll]
                for chunk in 0..chunks {
                    let column = chunk * 64 + UNIT_POS as usize;
                    if column < value_width {
                        of_columns[chunk] += sums[place * value_width + column] * share;
                    }
                }
            }
            #[unroll]
            for chunk in 0..chunks {
                let column = chunk * 64 + UNIT_POS as usize;
                if column < value_width {
                    let value = of_columns[chunk] / total;
                    out[at + column] = O::cast_from(within(value, comptime!(shape.clamped)));
                }
            }
        }
    }
}
