//! Arguments of attention, their division among cubes, and where tokens lie.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffer::Buffer;
use super::grid::grid;
use super::number::is_f16;

/// Queries per cube of the plain kernel.
pub(super) const QUERIES: usize = 64;
/// Keys per step of the plain kernel.
pub(super) const KEYS: usize = 32;
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
    pub parts: Option<(Buffer, Buffer)>,
}

impl<'a> Plan<'a> {
    /// Returns `None` if buffers and sizes do not match.
    pub fn of(client: &Client, args: &'a AttentionArgs<'a>) -> Option<Self> {
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
