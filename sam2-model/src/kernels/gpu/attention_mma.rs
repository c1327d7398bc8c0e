//! Attention on matrix units: 16-bit factors, with softmax and sums in f32, and scores in registers
//! only.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::attention_plan::{
    Grid, NOTHING, PlacesOnDevice, Plan, place_in_head, place_of, token_of_map,
};
use super::buffer::{optional, optional_of};
use super::grid::cube_in_grid;
use super::matrix_units::{
    EIGHT, Eight, Half, Sums, Units, as_f16, load_four, matrix_units, multiply, pack, pack_weights,
    power_of_two,
};
use super::number::within;

/// Planes per cube; each handles 16 queries.
const PLANES: usize = 4;
/// Queries per cube.
pub(super) const QUERIES: usize = PLANES * 16;
/// Units per cube.
const UNITS: usize = PLANES * 32;
/// Bytes of shared memory that every GPU with these units has (the size on Turing).
const SHARED: usize = 64 * 1024;
/// Largest number of keys in a window.
const MOST_KEYS: usize = 256;
/// Stands for the token of a key that is beyond the map's edge.
const BEYOND: u32 = u32::MAX;
type F4 = Vector<f32, Const<4>>;

/// Compile-time parameters of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    width: usize,
    value_width: usize,
    /// Keys per step.
    keys: usize,
    /// Formats of queries, keys and values, if they are 16-bit formats.
    formats: [Option<Half>; 3],
    windowed: bool,
    in_pieces: bool,
    clamped: bool,
    units: Units,
}

impl Shape {
    /// Returns the channels of queries and keys, and of values, rounded up to whole products, in
    /// units of [`EIGHT`].
    const fn eights(self) -> [usize; 2] {
        [2 * self.width.div_ceil(16), 2 * self.value_width.div_ceil(16)]
    }

    /// Returns the bytes in shared memory: queries, keys and values with an additional eight in
    /// each line, and the tokens of a window's keys.
    const fn shared(self) -> usize {
        let [of_key, of_value] = self.eights();
        ((QUERIES + self.keys) * (of_key + 1) + self.keys * (of_value + 1)) * 16
            + self.most_keys() * size_of::<u32>()
    }

    /// Returns the largest number of keys in a window, or one without windows.
    const fn most_keys(self) -> usize {
        if self.windowed { MOST_KEYS } else { 1 }
    }
}

/// Attends as [`super::attention`] on matrix units, by a plan whose buffers were compared with the
/// sizes. Returns `false` if the device has no such units, or values are not in whole 16 bytes.
pub(super) fn attend_mma(client: &Client, plan: &Plan<'_>) -> bool {
    let args = plan.args;
    // Scores are small but need precision in their fraction: f16 has three more bits of it than
    // bfloat16.
    let Some(units) = matrix_units(client, Half::F16) else { return false };
    let operands = [args.q, args.k, args.v];
    let formats = operands.map(|(buffer, _)| Half::of(buffer.element));
    let whole = operands.iter().all(|(_, places)| {
        [places.start, places.by_map, places.by_head, places.by_token]
            .iter()
            .all(|step| step.is_multiple_of(EIGHT))
    });
    let [width, value_width] = args.widths;
    // With f32 inputs, all of it is to be computed in f32.
    if formats[0].is_none() || formats[1].is_none() || !whole {
        return false;
    }
    if !width.is_multiple_of(EIGHT) || !value_width.is_multiple_of(EIGHT) || width > 256 {
        return false;
    }
    if args.windows.is_some() && plan.keys > MOST_KEYS {
        return false;
    }
    let mut shape = Shape {
        width,
        value_width,
        keys: 32,
        formats,
        windowed: args.windows.is_some(),
        in_pieces: plan.pieces > 1,
        clamped: plan.clamped(),
        units,
    };
    if shape.shared() > SHARED {
        shape.keys = 16;
    }
    let half = |which: usize| {
        let (buffer, _) = operands[which];
        optional_of(formats[which].map(|_| (buffer, EIGHT)))
    };
    let (outside, starts) = args.outside.unwrap_or((args.q.0, [0, 0]));
    let full_values = formats[2].is_none().then_some((args.v.0, 4));
    let cubes = plan.groups * plan.blocks(QUERIES);
    let (sums, stats) = plan.results();
    // SAFETY: as for the plain kernel; the plan was compared with the buffers.
    unsafe {
        attend::launch_unchecked(
            client,
            plan.grid(QUERIES),
            CubeDim::new_1d(UNITS as u32),
            half(0),
            half(1),
            half(2),
            optional_of(full_values),
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
            cubes as u32,
            std::f32::consts::LOG2_E / (width as f32).sqrt(),
            shape,
            [outside.element, sums.element],
        );
    }
    true
}

/// Returns one token's eight values at `eight` as f16, or the replacement for tokens beyond the
/// edge.
#[cube]
#[allow(clippy::too_many_arguments)]
fn eight_of<B: Float>(
    half: &ComptimeOption<&[Eight]>,
    full: &ComptimeOption<&[F4]>,
    outside: &ComptimeOption<&[B]>,
    place: (usize, bool),
    eight: usize,
    beyond: usize,
    #[comptime] format: Option<Half>,
    #[comptime] units: Units,
) -> Eight {
    let mut value = Eight::new(0u32);
    let (at, inside) = place;
    if inside {
        #[comptime]
        if let ComptimeOption::Some(half) = half {
            value = as_f16(half[at / EIGHT + eight], comptime!(format.unwrap_or(Half::F16)), units);
        }
        #[comptime]
        if let ComptimeOption::Some(full) = full {
            let four = at / 4 + 2 * eight;
            let (a, b) = (full[four], full[four + 1]);
            value.insert(0usize, pack(a.extract(0usize), a.extract(1usize), Half::F16, units));
            value.insert(1usize, pack(a.extract(2usize), a.extract(3usize), Half::F16, units));
            value.insert(2usize, pack(b.extract(0usize), b.extract(1usize), Half::F16, units));
            value.insert(3usize, pack(b.extract(2usize), b.extract(3usize), Half::F16, units));
        }
    } else {
        #[comptime]
        if let ComptimeOption::Some(outside) = outside {
            let first = beyond + eight * EIGHT;
            #[unroll]
            for i in 0..4usize {
                let low = f32::cast_from(outside[first + 2 * i]);
                let high = f32::cast_from(outside[first + 2 * i + 1]);
                value.insert(i, pack(low, high, Half::F16, units));
            }
        }
    }
    value
}

/// Returns the index of a key's first value in one head, and whether the key is inside the map.
/// `tokens` has the token of each key of a window.
#[cube]
fn place_of_key(
    key: usize,
    map: usize,
    head: usize,
    places: &PlacesOnDevice,
    tokens: &Shared<[u32]>,
    #[comptime] windowed: bool,
) -> (usize, bool) {
    let mut token = key;
    let mut inside = true;
    if comptime!(windowed) {
        inside = tokens[key] != BEYOND;
        token = tokens[key] as usize;
    }
    (place_in_head(token, map, head, places), inside)
}

#[cube(launch_unchecked)]
// Kernels support the operators of integers, but not their methods.
#[allow(clippy::too_many_arguments, clippy::manual_is_multiple_of)]
fn attend<B: Float, O: Float>(
    q: ComptimeOption<&[Eight]>,
    k: ComptimeOption<&[Eight]>,
    v: ComptimeOption<&[Eight]>,
    v_full: ComptimeOption<&[F4]>,
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
    #[define(B, O)] _elements: [ElemType; 2],
) {
    let windowed = comptime!(shape.windowed);
    let value_width = comptime!(shape.value_width);
    let step_keys = comptime!(shape.keys);
    let of_key = comptime!(shape.eights()[0]);
    let of_value = comptime!(shape.eights()[1]);
    // Lines have one additional eight, so that eight rows of an `ldmatrix` are in different banks.
    let key_line = comptime!(of_key + 1);
    let value_line = comptime!(of_value + 1);
    let mut q_tile = Shared::<[Eight]>::new_aligned_slice(comptime!(QUERIES * key_line), 16usize);
    let mut k_tile = Shared::<[Eight]>::new_aligned_slice(comptime!(step_keys * key_line), 16usize);
    let mut v_tile =
        Shared::<[Eight]>::new_aligned_slice(comptime!(step_keys * value_line), 16usize);

    // The token on the map of each key of a window, stored because finding it takes divisions.
    let mut tokens = Shared::<[u32]>::new_slice(comptime!(shape.most_keys()));

    let unit = UNIT_POS as usize;
    let lane = unit % 32;
    let plane = unit / 32;
    let queries = queries as usize;
    let blocks = queries.div_ceil(QUERIES);
    let cube = cube_in_grid();
    let group = cube / blocks;
    let first_query = cube % blocks * QUERIES;
    let head = group % heads as usize;
    let window = group / heads as usize % windows as usize;
    let map = group / heads as usize / windows as usize;
    let piece = CUBE_POS_Z as usize;
    let first_key = piece * keys_of_piece as usize;
    let end = min(first_key + keys_of_piece as usize, keys as usize);
    let beyond_keys = outside_keys as usize + head * comptime!(shape.width);
    let beyond_values = outside_values as usize + head * value_width;

    let key_tiles = comptime!(step_keys / 8);
    let value_tiles = comptime!(of_value);
    let mut sums = Array::<Sums>::new(value_tiles);
    #[unroll]
    for i in 0..value_tiles {
        sums[i] = Sums::new(0.0);
    }
    // For each of this lane's two rows: the largest score so far, and this lane's share of the sum
    // of weights.
    let mut largest = Array::<f32>::new(2usize);
    let mut total = Array::<f32>::new(2usize);
    #[unroll]
    for r in 0..2usize {
        largest[r] = f32::new(NOTHING);
        total[r] = f32::new(0.0);
    }

    if cube < cubes as usize {
        let nothing = ComptimeOption::<&[F4]>::new_None();
        #[unroll]
        for i in 0..comptime!((QUERIES * of_key).div_ceil(UNITS)) {
            let at = i * UNITS + unit;
            let (row, eight) = (at / of_key, at % of_key);
            let token = first_query + row;
            if row < QUERIES {
                let (place, inside) =
                    place_of(token, map, window, head, &q_places, &query_grid, windowed);
                let mut value = Eight::new(0u32);
                // Queries beyond the map's edge are computed but never written.
                if token < queries && inside && eight < comptime!(shape.width / EIGHT) {
                    let (format, on) = comptime!((shape.formats[0], shape.units));
                    value = eight_of(
                        &q,
                        &nothing,
                        &outside,
                        (place, true),
                        eight,
                        beyond_keys,
                        format,
                        on,
                    );
                }
                q_tile[row * key_line + eight] = value;
            }
        }
        if comptime!(windowed) {
            #[unroll]
            for i in 0..comptime!(MOST_KEYS / UNITS) {
                let token = i * UNITS + unit;
                if token < keys as usize {
                    let (at, inside) = token_of_map(token, window, &key_grid);
                    tokens[token] = select(inside, at as u32, BEYOND);
                }
            }
        }
        let mut start = first_key;
        while start < end {
            // Waits until the other planes have finished multiplying, and until the tokens of the
            // keys are known.
            sync_cube();
            #[unroll]
            for i in 0..comptime!((step_keys * of_key).div_ceil(UNITS)) {
                let at = i * UNITS + unit;
                let (row, eight) = (at / of_key, at % of_key);
                if row < step_keys {
                    let token = start + row;
                    let mut value = Eight::new(0u32);
                    if token < end && eight < comptime!(shape.width / EIGHT) {
                        let place = place_of_key(token, map, head, &k_places, &tokens, windowed);
                        let (format, on) = comptime!((shape.formats[1], shape.units));
                        value =
                            eight_of(&k, &nothing, &outside, place, eight, beyond_keys, format, on);
                    }
                    k_tile[row * key_line + eight] = value;
                }
            }
            #[unroll]
            for i in 0..comptime!((step_keys * of_value).div_ceil(UNITS)) {
                let at = i * UNITS + unit;
                let (row, eight) = (at / of_value, at % of_value);
                if row < step_keys {
                    let token = start + row;
                    let mut value = Eight::new(0u32);
                    if token < end && eight < comptime!(value_width / EIGHT) {
                        let place = place_of_key(token, map, head, &v_places, &tokens, windowed);
                        let (format, on) = comptime!((shape.formats[2], shape.units));
                        value = eight_of(
                            &v,
                            &v_full,
                            &outside,
                            place,
                            eight,
                            beyond_values,
                            format,
                            on,
                        );
                    }
                    v_tile[row * value_line + eight] = value;
                }
            }
            sync_cube();

            let mut scores = Array::<Sums>::new(key_tiles);
            #[unroll]
            for i in 0..key_tiles {
                scores[i] = Sums::new(0.0);
            }
            #[unroll]
            for step in 0..comptime!(of_key / 2) {
                let at = (plane * 16 + lane % 16) * key_line + step * 2 + lane / 16;
                let a = load_four(&q_tile[at..at + 1], false);
                #[unroll]
                for n in 0..comptime!(step_keys / 16) {
                    let row = n * 16 + lane / 16 * 8 + lane % 8;
                    let at = row * key_line + step * 2 + lane / 8 % 2;
                    let b = load_four(&k_tile[at..at + 1], false);
                    let units = comptime!(shape.units);
                    let i = comptime!(n * 2);
                    scores[i] = multiply(a, b, 0usize, scores[i], Half::F16, units);
                    let i = comptime!(n * 2 + 1);
                    scores[i] = multiply(a, b, 2usize, scores[i], Half::F16, units);
                }
            }
            #[unroll]
            for n in 0..key_tiles {
                let mut x = scores[n] * Sums::new(scale);
                #[unroll]
                for e in 0..4usize {
                    // Keys after the end get no weight.
                    if start + n * 8 + lane % 4 * 2 + e % 2 >= end {
                        x.insert(e, f32::new(NOTHING));
                    }
                }
                scores[n] = x;
            }
            #[unroll]
            for r in 0..2usize {
                let mut best = largest[r];
                #[unroll]
                for n in 0..key_tiles {
                    let x = scores[n];
                    best = max(best, max(x.extract(r * 2), x.extract(r * 2 + 1)));
                }
                best = max(best, plane_shuffle_xor(best, 1u32));
                best = max(best, plane_shuffle_xor(best, 2u32));
                let shrink = power_of_two(largest[r] - best);
                largest[r] = best;
                let mut sum = total[r] * shrink;
                #[unroll]
                for n in 0..key_tiles {
                    let mut x = scores[n];
                    let first = power_of_two(x.extract(r * 2) - best);
                    let second = power_of_two(x.extract(r * 2 + 1) - best);
                    x.insert(r * 2, first);
                    x.insert(r * 2 + 1, second);
                    sum += first + second;
                    scores[n] = x;
                }
                total[r] = sum;
                #[unroll]
                for n in 0..value_tiles {
                    let mut x = sums[n];
                    let first = x.extract(r * 2) * shrink;
                    let second = x.extract(r * 2 + 1) * shrink;
                    x.insert(r * 2, first);
                    x.insert(r * 2 + 1, second);
                    sums[n] = x;
                }
            }
            #[unroll]
            for step in 0..comptime!(step_keys / 16) {
                let x = scores[comptime!(step * 2)];
                let y = scores[comptime!(step * 2 + 1)];
                // Sums of one product already have the layout of the next product's factors.
                let on = comptime!(shape.units);
                let mut weights = Eight::empty();
                weights.insert(0usize, pack_weights(x.extract(0usize), x.extract(1usize), on));
                weights.insert(1usize, pack_weights(x.extract(2usize), x.extract(3usize), on));
                weights.insert(2usize, pack_weights(y.extract(0usize), y.extract(1usize), on));
                weights.insert(3usize, pack_weights(y.extract(2usize), y.extract(3usize), on));
                #[unroll]
                for n in 0..comptime!(value_tiles / 2) {
                    let row = step * 16 + lane / 8 % 2 * 8 + lane % 8;
                    let at = row * value_line + n * 2 + lane / 16;
                    let b = load_four(&v_tile[at..at + 1], true);
                    let units = comptime!(shape.units);
                    let i = comptime!(n * 2);
                    sums[i] = multiply(weights, b, 0usize, sums[i], Half::F16, units);
                    let i = comptime!(n * 2 + 1);
                    sums[i] = multiply(weights, b, 2usize, sums[i], Half::F16, units);
                }
            }
            start += step_keys;
        }

        #[unroll]
        for r in 0..2usize {
            let token = first_query + plane * 16 + r * 8 + lane / 4;
            let mut all = total[r];
            all += plane_shuffle_xor(all, 1u32);
            all += plane_shuffle_xor(all, 2u32);
            let (place, inside) =
                place_of(token, map, window, head, &out_places, &query_grid, windowed);
            if token < queries && inside {
                let mut at = place;
                let mut factor = 1.0f32 / all;
                #[comptime]
                if let ComptimeOption::Some(stats) = &mut stats {
                    let rows = cubes as usize / blocks * queries;
                    let row = piece * rows + group * queries + token;
                    if lane % 4 == 0 {
                        // Converts from powers of two to powers of e, with which the pieces are
                        // combined.
                        stats[row * 2] = largest[r] * std::f32::consts::LN_2;
                        stats[row * 2 + 1] = all;
                    }
                    at = row * value_width;
                    factor = f32::new(1.0);
                }
                #[unroll]
                for n in 0..value_tiles {
                    #[unroll]
                    for e in 0..2usize {
                        let column = n * 8 + lane % 4 * 2 + e;
                        if column < value_width {
                            let y = sums[n].extract(comptime!(r * 2 + e)) * factor;
                            let clamped = comptime!(shape.clamped && !shape.in_pieces);
                            out[at + column] = O::cast_from(within(y, clamped));
                        }
                    }
                }
            }
        }
    }
}
