//! Memory layouts of the tokens of attention.

/// Largest number of values of a view, counting repeated ones: no machine has as much memory, and
/// sizes that are a few thousand times as large are still below the largest `usize`.
const MOST_VALUES: usize = isize::MAX as usize >> 13;
/// Largest number of tokens of a head, which are counted in 32 bits.
const MOST_TOKENS: usize = u32::MAX as usize;

/// A `[batch, heads, tokens, channels]` view of values whose last axis is contiguous. With
/// a [`WindowGrid`], a batch entry is a window of a map, whose tokens are read where they lie.
#[derive(Clone, Copy, Debug)]
pub struct HeadsView<'a> {
    data: &'a [f32],
    offset: usize,
    pub(crate) shape: [usize; 4],
    strides: [usize; 3],
    windows: Option<Windows<'a>>,
}

/// A grid of square windows that cut a map, in reading order. The windows at the lower and the
/// right edge may reach beyond the map.
#[derive(Clone, Debug)]
pub struct WindowGrid {
    side: usize,
    height: usize,
    width: usize,
    /// Row and column of each token of a window.
    places: Vec<[u32; 2]>,
}

impl WindowGrid {
    /// Makes a grid of windows of `side` x `side` tokens for maps of `height` x `width`. Returns
    /// `None` if one of them is 0.
    pub fn new(side: usize, [height, width]: [usize; 2]) -> Option<Self> {
        let row = u32::try_from(side).ok().filter(|_| side > 0 && height > 0 && width > 0)?;
        let places = (0..row).flat_map(|y| (0..row).map(move |x| [y, x])).collect();
        Some(Self { side, height, width, places })
    }

    /// Returns the number of windows in one map.
    pub(crate) fn count(&self) -> usize {
        self.height.div_ceil(self.side) * self.width.div_ceil(self.side)
    }

    /// Returns the index of a window's map among all maps, and the window's first row and column.
    fn corner(&self, window: usize) -> (usize, [usize; 2]) {
        let columns = self.width.div_ceil(self.side);
        let (map, window) = (window / self.count(), window % self.count());
        (map, [window / columns * self.side, window % columns * self.side])
    }
}

/// A grid, and the replacement for tokens beyond the edge of the map.
#[derive(Clone, Copy, Debug)]
struct Windows<'a> {
    grid: &'a WindowGrid,
    /// `[heads, channels]`.
    outside: &'a [f32],
}

impl<'a> HeadsView<'a> {
    /// Makes a view of the values of `data` from `offset` on. `shape` is the number of batch entries,
    /// heads, tokens and channels; `strides` are the distances between two of each. Returns `None`
    /// if the last axis is not contiguous, a stride is negative, the view reaches outside `data`, or
    /// repeats values so often that no memory holds a copy of it.
    pub fn new(
        data: &'a [f32],
        offset: usize,
        shape: [usize; 4],
        strides: [isize; 4],
    ) -> Option<Self> {
        let [batch, head, token] = [strides[0], strides[1], strides[2]].map(usize::try_from);
        let by = [batch.ok()?, head.ok()?, token.ok()?];
        let adjacent = strides[3] == 1 || shape[3] <= 1;
        let view = Self { data, offset, shape, strides: by, windows: None };
        (adjacent && view.fits(shape)).then_some(view)
    }

    /// Makes a view of some channels of maps `[maps, height, width, by_token]` in `data`, from
    /// `offset` on. `shape` is the number of maps, heads and channels; the maps are cut into the
    /// windows of a grid. `outside`, `[heads, channels]`, replaces tokens beyond the edge. Without
    /// it such tokens may be queries, which are skipped, but not keys. Returns `None` if the view
    /// reaches outside `data`.
    pub fn in_windows(
        data: &'a [f32],
        offset: usize,
        by_token: usize,
        grid: &'a WindowGrid,
        [maps, heads, channels]: [usize; 3],
        outside: Option<&'a [f32]>,
    ) -> Option<Self> {
        let tokens = grid.height.checked_mul(grid.width)?;
        let windows = maps.checked_mul(grid.count())?;
        let shape = [windows, heads, grid.places.len(), channels];
        let strides = [tokens.checked_mul(by_token)?, channels, by_token];
        let windows = Some(Windows { grid, outside: outside.unwrap_or_default() });
        let view = Self { data, offset, shape, strides, windows };
        let outside = outside.is_none_or(|values| values.len() == heads * channels);
        (outside && view.fits([maps, heads, tokens, channels])).then_some(view)
    }

    /// Returns true if these many batch entries or maps, heads, tokens and channels lie within the
    /// data.
    fn fits(&self, shape: [usize; 4]) -> bool {
        let count = shape.into_iter().try_fold(1_usize, usize::checked_mul);
        if count.is_none_or(|count| count > MOST_VALUES) || shape[2] > MOST_TOKENS {
            return false;
        }
        if shape.contains(&0) {
            return true;
        }
        let last = (0..3).try_fold(self.offset, |last: usize, axis| {
            last.checked_add((shape[axis] - 1).checked_mul(self.strides[axis])?)
        });
        last.and_then(|last| last.checked_add(shape[3])).is_some_and(|end| end <= self.data.len())
    }

    /// Returns the tokens of one head of one batch entry, for keys and values.
    #[inline(always)]
    pub(crate) fn head(&self, batch: usize, head: usize) -> HeadTokens<'a> {
        let Self {
            data, shape: [_, _, _, channels], strides: [by_batch, by_head, by_token], ..
        } = *self;
        let first = self.offset + head * by_head;
        let Some(Windows { grid, outside }) = self.windows else {
            let first = first + batch * by_batch;
            return HeadTokens { data, first, by_token, channels, window: None };
        };
        let (map, [y, x]) = grid.corner(batch);
        let window = WindowTokens {
            places: &grid.places,
            width: grid.width,
            inside: [grid.height - y, grid.width - x].map(|left| left as u32),
            outside: outside.get(head * channels..(head + 1) * channels).unwrap_or_default(),
        };
        let first = first + map * by_batch + (y * grid.width + x) * by_token;
        HeadTokens { data, first, by_token, channels, window: Some(window) }
    }

    /// Returns true if every token has values, including tokens of windows that lie beyond the
    /// edge.
    pub(crate) fn is_whole(&self) -> bool {
        self.windows.is_none_or(|Windows { grid, outside }| {
            let whole = |length: usize| length.is_multiple_of(grid.side);
            !outside.is_empty() || whole(grid.height) && whole(grid.width)
        })
    }

    /// Returns the number of rows of a result with one row for each query.
    pub(crate) fn rows(&self) -> usize {
        match self.windows {
            None => self.shape[0] * self.shape[2],
            Some(Windows { grid, .. }) => self.shape[0] / grid.count() * grid.height * grid.width,
        }
    }

    /// Returns the tokens of one batch entry as queries: only those inside the map.
    #[inline(always)]
    pub(crate) fn of_batch(&self, batch: usize) -> Queries {
        let [by_batch, _, by_token] = self.strides;
        let Some(Windows { grid, .. }) = self.windows else {
            let count = self.shape[2];
            let (first, row) = (self.offset + batch * by_batch, batch * count);
            return Queries { count, first, row, columns: count.max(1), width: 0 };
        };
        let (map, [y, x]) = grid.corner(batch);
        let (rows, columns) = (grid.side.min(grid.height - y), grid.side.min(grid.width - x));
        let token = y * grid.width + x;
        Queries {
            count: rows * columns,
            first: self.offset + map * by_batch + token * by_token,
            row: map * grid.height * grid.width + token,
            columns,
            width: grid.width,
        }
    }

    /// Returns the channels of one query of a head.
    #[inline(always)]
    pub(crate) fn query(&self, of_batch: Queries, head: usize, query: usize) -> &'a [f32] {
        let [_, by_head, by_token] = self.strides;
        let start = of_batch.first + head * by_head + of_batch.token(query) * by_token;
        &self.data[start..start + self.shape[3]]
    }
}

/// The tokens of one head of one batch entry.
#[derive(Clone, Copy)]
pub(crate) struct HeadTokens<'a> {
    data: &'a [f32],
    /// Index at which the first token begins.
    first: usize,
    by_token: usize,
    channels: usize,
    window: Option<WindowTokens<'a>>,
}

#[derive(Clone, Copy)]
struct WindowTokens<'a> {
    places: &'a [[u32; 2]],
    /// Width of the map.
    width: usize,
    /// Number of rows and columns from the window's corner to the edges of the map.
    inside: [u32; 2],
    outside: &'a [f32],
}

impl<'a> HeadTokens<'a> {
    /// Returns the channels of one token.
    #[inline(always)]
    pub(crate) fn at(&self, token: usize) -> &'a [f32] {
        let token = match self.window {
            None => token,
            Some(WindowTokens { places, width, inside, outside }) => {
                let [y, x] = places[token];
                if y >= inside[0] || x >= inside[1] {
                    return outside;
                }
                y as usize * width + x as usize
            }
        };
        let start = self.first + token * self.by_token;
        &self.data[start..start + self.channels]
    }
}

/// The queries of one batch entry, numbered in reading order.
#[derive(Clone, Copy)]
pub(crate) struct Queries {
    /// Number of queries.
    pub(crate) count: usize,
    /// Index at which the first token's channels begin.
    first: usize,
    /// The first token's row in the result.
    row: usize,
    /// Tokens in one row of the window.
    columns: usize,
    /// Tokens in one row of the map.
    width: usize,
}

impl Queries {
    /// Returns the number of tokens of the map between the first query and this one.
    #[inline(always)]
    fn token(&self, query: usize) -> usize {
        // Divisions of 32-bit integers are several times as fast.
        let (query, columns) = (query as u32, self.columns as u32);
        (query / columns) as usize * self.width + (query % columns) as usize
    }

    /// Returns the row of the result for a query.
    #[inline(always)]
    pub(crate) fn row(&self, query: usize) -> usize {
        self.row + self.token(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_leave_their_data_are_refused() {
        let data = vec![0.0; 24];
        assert!(HeadsView::new(&data, 0, [1, 2, 3, 4], [24, 12, 4, 1]).is_some());
        assert!(HeadsView::new(&data, 1, [1, 2, 3, 4], [24, 12, 4, 1]).is_none(), "too long");
        assert!(HeadsView::new(&data, 0, [1, 2, 3, 4], [24, 12, 1, 3]).is_none(), "not adjacent");
        assert!(HeadsView::new(&data, 0, [1, 2, 3, 4], [24, -12, 4, 1]).is_none(), "backwards");
        let huge = [isize::MAX, 12, 4, 1];
        assert!(HeadsView::new(&data, 0, [3, 2, 3, 4], huge).is_none(), "beyond all numbers");
        let repeated = |shape| HeadsView::new(&data, 0, shape, [0, 0, 0, 1]).is_some();
        assert!(repeated([7, 1000, 1000, 4]));
        assert!(!repeated([1, 1, 1 << 33, 4]), "too many tokens");
        assert!(!repeated([1 << 25, 1 << 25, 4, 4]) && !repeated([1 << 62, 4, 1, 1]), "too many");
        let grid = WindowGrid::new(2, [2, 3]).unwrap();
        let view = |offset, shape, outside| {
            HeadsView::in_windows(&data, offset, 4, &grid, shape, outside).is_some()
        };
        assert!(view(0, [1, 2, 2], None) && view(2, [1, 1, 2], None));
        assert!(!view(1, [1, 2, 2], None) && !view(0, [2, 2, 2], None), "too long");
        assert!(view(0, [1, 2, 2], Some(&data[..4])));
        assert!(!view(0, [1, 2, 2], Some(&data[..3])), "too little for tokens outside");
        assert!(WindowGrid::new(0, [2, 3]).is_none() && WindowGrid::new(2, [0, 3]).is_none());
    }

    #[test]
    fn windows_are_in_reading_order_and_queries_are_the_tokens_within() {
        // Two maps of 3 x 5 tokens of two channels.
        let data: Vec<f32> = (0..60).map(|i| i as f32).collect();
        let grid = WindowGrid::new(2, [3, 5]).unwrap();
        let outside = [-1.0, -2.0];
        let view = HeadsView::in_windows(&data, 0, 2, &grid, [2, 1, 2], Some(&outside)).unwrap();
        assert_eq!((view.shape, view.rows()), ([12, 1, 4, 2], 30));
        let keys = |window: usize| -> Vec<f32> {
            (0..4).map(|token| view.head(window, 0).at(token)[0]).collect()
        };
        assert_eq!(keys(0), [0.0, 2.0, 10.0, 12.0]);
        assert_eq!(keys(2), [8.0, -1.0, 18.0, -1.0]);
        assert_eq!(keys(11), [58.0, -1.0, -1.0, -1.0]);
        let mut seen = [0; 30];
        for window in 0..12 {
            let queries = view.of_batch(window);
            for query in 0..queries.count {
                seen[queries.row(query)] += 1;
                let channels = view.query(queries, 0, query);
                assert_eq!(channels[0], 2.0 * queries.row(query) as f32);
            }
        }
        assert_eq!(seen, [1; 30]);
    }
}
