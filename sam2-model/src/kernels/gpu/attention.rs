//! Attention that never stores all its scores. Keys are divided among cubes if queries are few.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::attention_mma::attend_mma;
use super::buffer::{Buffer, optional};
use super::grid::{cube_in_grid, grid};
use super::number::{is_f16, within};

/// Queries per cube.
const QUERIES: usize = 64;
/// Keys per step.
const KEYS: usize = 32;
/// Channels of queries and keys that are in shared memory at a time.
const DEPTH: usize = 16;
/// Columns of values that are in shared memory at a time.
const COLUMNS: usize = 64;
/// Units per cube.
const UNITS: usize = 256;
/// Number of cubes that keeps a large GPU busy. With fewer, keys are divided.
const BUSY: usize = 256;
/// Smallest number of keys that is worth a cube of its own.
const FEWEST_KEYS: usize = 512;
/// A value below any score.
pub(super) const NOTHING: f32 = -1e30;

/// Layout of the tokens of a tensor: a value is at
/// `start + map * by_map + token * by_token + head * by_head + channel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Index of the first value.
    pub start: usize,
    /// Distance from one map of the batch to the next.
    pub by_map: usize,
    /// Distance from one head to the next.
    pub by_head: usize,
    /// Distance from one token to the next.
    pub by_token: usize,
}

/// Square windows that cut a map of tokens, in reading order. The windows at the lower and the
/// right edge may reach beyond the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Tokens along a window's side.
    pub side: usize,
    /// Rows and columns of tokens in the map.
    pub size: [usize; 2],
}

impl Windows {
    fn count(self) -> [usize; 2] {
        self.size.map(|length| length.div_ceil(self.side))
    }
}

/// Arguments of multi-head attention: `softmax(q · k / sqrt(width)) · v`.
#[derive(Debug)]
pub struct AttentionArgs<'a> {
    /// Queries, any format.
    pub q: (&'a Buffer, Places),
    /// Keys.
    pub k: (&'a Buffer, Places),
    /// Values.
    pub v: (&'a Buffer, Places),
    /// The result for each query, any format.
    pub out: (&'a Buffer, Places),
    /// Number of maps in the batch.
    pub maps: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of queries and of keys per map. Unused with windows.
    pub tokens: [usize; 2],
    /// Channels of a head: in a query or key, and in a value.
    pub widths: [usize; 2],
    /// Windows of the queries and of the keys, in equal number. A query attends only to the keys of
    /// its own window.
    pub windows: Option<[Windows; 2]>,
    /// Replacement for keys and values beyond the map's edge: values of all heads, and the indices
    /// at which those for keys and those for values begin. Only with windows.
    pub outside: Option<(&'a Buffer, [usize; 2])>,
}

/// Returns the number of cubes that share a row's keys: 1 if there are enough cubes without
/// sharing.
fn splits(cubes: usize, keys: usize) -> usize {
    let wanted = BUSY.div_ceil(cubes.max(1));
    wanted.min(keys / FEWEST_KEYS).max(1)
}

/// Attention ready to be launched: buffers and sizes have been compared.
pub(super) struct Plan<'a> {
    pub args: &'a AttentionArgs<'a>,
    /// Number of windows per map.
    pub windows: usize,
    /// Number of groups, which is maps times windows times heads. The queries of a group attend to
    /// the same keys.
    pub groups: usize,
    /// Number of queries and keys per group.
    pub queries: usize,
    pub keys: usize,
    /// Number of cubes that share a row's keys, and the number of keys that each takes.
    pub pieces: usize,
    pub keys_of_piece: usize,
    /// Sums of the pieces, `[pieces, groups, queries, value width]`, and the largest score and the
    /// sum of weights of each row. Only if there are several pieces.
    parts: Option<(Buffer, Buffer)>,
}

impl<'a> Plan<'a> {
    /// Returns `None` if buffers and sizes do not match.
    fn of(client: &Client, args: &'a AttentionArgs<'a>) -> Option<Self> {
        let AttentionArgs { maps, heads, widths: [width, value_width], .. } = *args;
        let [windows, queries, keys] = match args.windows {
            None if args.outside.is_some() => return None,
            None => [1, args.tokens[0], args.tokens[1]],
            Some([of_queries, of_keys]) => {
                if of_queries.count() != of_keys.count() || args.outside.is_none() {
                    return None;
                }
                let [rows, columns] = of_queries.count();
                [rows * columns, of_queries.side.pow(2), of_keys.side.pow(2)]
            }
        };
        let in_map = |which: usize| match args.windows {
            None => args.tokens[which],
            Some(windows) => windows[which].size[0] * windows[which].size[1],
        };
        let reaches = |(buffer, places): (&Buffer, Places), tokens: usize, width: usize| {
            let last = |count: usize, by: usize| count.saturating_sub(1) * by;
            let end = places.start
                + last(maps, places.by_map)
                + last(heads, places.by_head)
                + last(tokens, places.by_token)
                + width;
            buffer.holds(end)
        };
        let outside_fits = args.outside.is_none_or(|(outside, starts)| {
            outside.holds(starts[0] + heads * width)
                && outside.holds(starts[1] + heads * value_width)
        });
        let fits = in_map(1) > 0
            && width > 0
            && (1..=256).contains(&value_width)
            && outside_fits
            && reaches(args.q, in_map(0), width)
            && reaches(args.k, in_map(1), width)
            && reaches(args.v, in_map(1), value_width)
            && reaches(args.out, in_map(0), value_width);
        if !fits {
            return None;
        }
        let groups = maps * windows * heads;
        let pieces = splits(groups * queries.div_ceil(QUERIES), keys);
        let keys_of_piece = keys.div_ceil(pieces).next_multiple_of(KEYS);
        let pieces = keys.div_ceil(keys_of_piece);
        let parts = (pieces > 1).then(|| {
            let rows = pieces * groups * queries;
            let numbers = |count: usize| Buffer {
                handle: client.empty(count * size_of::<f32>()),
                length: count,
                element: ElemType::Float(cubecl::ir::FloatKind::F32),
            };
            (numbers(rows * value_width), numbers(rows * 2))
        });
        Some(Self { args, windows, groups, queries, keys, pieces, keys_of_piece, parts })
    }

    /// Returns the number of blocks of `queries` queries in a group.
    pub fn blocks(&self, queries: usize) -> usize {
        self.queries.div_ceil(queries)
    }

    /// Returns the grid for cubes of `queries` queries. Groups and blocks come first, because there
    /// may be more of them than a grid's second and third axis allow; pieces come last.
    pub fn grid(&self, queries: usize) -> CubeCount {
        match grid(self.groups * self.blocks(queries)) {
            CubeCount::Static(x, y, _) => CubeCount::Static(x, y, self.pieces as u32),
            other => other,
        }
    }

    /// Returns the buffers that the kernel writes: the result, or the sums and statistics of the
    /// pieces.
    pub fn results(&self) -> (&Buffer, Option<&Buffer>) {
        match &self.parts {
            Some((sums, stats)) => (sums, Some(stats)),
            None => (self.args.out.0, None),
        }
    }

    /// Returns true if the result must be clamped to f16's range.
    pub fn clamped(&self) -> bool {
        is_f16(self.args.out.0.element)
    }

    pub fn places(&self, places: Places) -> PlacesOnDeviceLaunch {
        let Places { start, by_map, by_head, by_token } = places;
        PlacesOnDeviceLaunch::new(start as u32, by_map as u32, by_head as u32, by_token as u32)
    }

    pub fn query_grid(&self) -> GridLaunch {
        self.grid_of(0)
    }

    pub fn key_grid(&self) -> GridLaunch {
        self.grid_of(1)
    }

    fn grid_of(&self, which: usize) -> GridLaunch {
        match self.args.windows {
            Some(windows) => {
                let [_, columns] = windows[which].count();
                let [rows, of_row] = windows[which].size;
                let side = windows[which].side;
                GridLaunch::new(side as u32, columns as u32, rows as u32, of_row as u32)
            }
            None => GridLaunch::new(1, 1, self.args.tokens[which] as u32, 1),
        }
    }

    fn shape(&self) -> Shape {
        let [width, value_width] = self.args.widths;
        Shape {
            width,
            value_width,
            windowed: self.args.windows.is_some(),
            in_pieces: self.pieces > 1,
            clamped: self.clamped(),
        }
    }
}

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
                plan.shape(),
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
            plan.shape(),
            elements,
        );
    }
}

/// The device-side form of [`Places`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct PlacesOnDevice {
    start: u32,
    by_map: u32,
    by_head: u32,
    by_token: u32,
}

/// The device-side form of [`Windows`]: the side of a window, windows in a row, and the map's rows
/// and columns of tokens.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Grid {
    side: u32,
    windows: u32,
    rows: u32,
    columns: u32,
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

/// Returns the index of a token's first value in one head, and whether the token is inside the map.
#[cube]
pub(super) fn place_of(
    token: usize,
    map: usize,
    window: usize,
    head: usize,
    places: &PlacesOnDevice,
    grid: &Grid,
    #[comptime] windowed: bool,
) -> (usize, bool) {
    let mut at = token;
    let mut inside = true;
    if comptime!(windowed) {
        let (on_map, is_there) = token_of_map(token, window, grid);
        at = on_map;
        inside = is_there;
    }
    (place_in_head(at, map, head, places), inside)
}

/// Returns the map's token at a window's token, and whether it is inside the map.
#[cube]
pub(super) fn token_of_map(token: usize, window: usize, grid: &Grid) -> (usize, bool) {
    let side = grid.side as usize;
    let row = window / grid.windows as usize * side + token / side;
    let column = window % grid.windows as usize * side + token % side;
    let inside = row < grid.rows as usize && column < grid.columns as usize;
    (row * grid.columns as usize + column, inside)
}

/// Returns the index of the first value of a map's token in one head.
#[cube]
pub(super) fn place_in_head(
    token: usize,
    map: usize,
    head: usize,
    places: &PlacesOnDevice,
) -> usize {
    places.start as usize
        + map * places.by_map as usize
        + head * places.by_head as usize
        + token * places.by_token as usize
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
