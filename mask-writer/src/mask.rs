//! Binary masks, run-length encoded.

/// One object's mask in one frame, run-length encoded in reading order.
///
/// Runs alternate background, foreground, background, ..., starting with background (possibly of
/// length 0), and add up to `width * height`. A typical mask of a megapixel frame takes a few
/// kilobytes, so the masks of a whole batch can be kept in memory until they are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mask {
    width: u32,
    height: u32,
    runs: Vec<u32>,
}

/// Data whose length does not match a mask of the given size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mask of {width} x {height} needs {expected} pixels, got {found}")]
pub struct MaskSizeError {
    /// Number of columns requested.
    pub width: u32,
    /// Number of rows requested.
    pub height: u32,
    /// `width * height`.
    pub expected: u64,
    /// Number of pixels given.
    pub found: u64,
}

impl Mask {
    /// Returns a mask without foreground.
    pub fn empty(width: u32, height: u32) -> Self {
        // A `u32` run covers up to 4 gigapixels; `push` below splits the runs of larger frames.
        Self::encode(width, height, std::iter::repeat_n(false, width as usize * height as usize))
    }

    /// Encodes pixels in reading order, `true` for foreground.
    ///
    /// # Errors
    /// If there are not exactly `width * height` pixels.
    pub fn from_pixels(
        width: u32,
        height: u32,
        pixels: impl ExactSizeIterator<Item = bool>,
    ) -> Result<Self, MaskSizeError> {
        check(width, height, pixels.len() as u64)?;
        Ok(Self::encode(width, height, pixels))
    }

    /// Encodes bytes in reading order, one per pixel: 0 is background, every other value is
    /// foreground. Gray masks of 0 and 255, and of 0 and 1, are both read so.
    ///
    /// ```
    /// use sam2_mask_writer::Mask;
    /// let mask = Mask::from_bytes(3, 2, &[0, 255, 255, 0, 0, 1])?;
    /// assert_eq!(mask.pixels().collect::<Vec<_>>(), [(1, 0), (2, 0), (2, 1)]);
    /// # Ok::<(), sam2_mask_writer::MaskSizeError>(())
    /// ```
    ///
    /// # Errors
    /// If there are not exactly `width * height` bytes.
    pub fn from_bytes(width: u32, height: u32, bytes: &[u8]) -> Result<Self, MaskSizeError> {
        Self::from_pixels(width, height, bytes.iter().map(|&byte| byte != 0))
    }

    /// Encodes logits in reading order; logits above 0 are foreground.
    ///
    /// # Errors
    /// If there are not exactly `width * height` logits.
    pub fn from_logits(width: u32, height: u32, logits: &[f32]) -> Result<Self, MaskSizeError> {
        Self::from_pixels(width, height, logits.iter().map(|&logit| logit > 0.0))
    }

    /// Builds a mask from stored runs.
    ///
    /// # Errors
    /// If the runs do not add up to `width * height`.
    pub fn from_runs(width: u32, height: u32, runs: Vec<u32>) -> Result<Self, MaskSizeError> {
        check(width, height, runs.iter().map(|&run| u64::from(run)).sum())?;
        Ok(Self { width, height, runs })
    }

    pub(crate) fn encode(width: u32, height: u32, pixels: impl Iterator<Item = bool>) -> Self {
        Self { width, height, runs: encode_runs(pixels) }
    }

    /// Returns the number of columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the alternating background and foreground lengths, background first.
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Iterates over the foreground runs as ranges of positions in reading order.
    pub fn foreground(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut position = 0;
        self.runs.chunks(2).filter_map(move |pair| {
            let start = position + pair[0] as usize;
            let length = pair.get(1).copied().unwrap_or(0) as usize;
            position = start + length;
            (length > 0).then_some(start..position)
        })
    }

    /// Iterates over the foreground pixels as (column, row), in reading order: the rows from top to
    /// bottom, and in each row from left to right. (0, 0) is the top left pixel.
    ///
    /// [`Mask::foreground`] gives the same pixels as runs, of which there are far fewer.
    pub fn pixels(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        // A mask without columns has no foreground, so nothing is divided by zero.
        let width = self.width as usize;
        self.foreground().flatten().map(move |at| ((at % width) as u32, (at / width) as u32))
    }

    /// Returns the number of foreground pixels.
    pub fn area(&self) -> u64 {
        self.runs.iter().skip(1).step_by(2).map(|&run| u64::from(run)).sum()
    }

    /// Returns the bounding box of the foreground as its first and last column and row, `[x0, y0,
    /// x1, y1]`, all inclusive; `None` for an empty mask.
    pub fn bounds(&self) -> Option<[u32; 4]> {
        let width = self.width as usize;
        let mut bounds: Option<[usize; 4]> = None;
        for run in self.foreground() {
            let (first, last) = (run.start, run.end - 1);
            let (top, bottom) = (first / width, last / width);
            // A run that crosses the end of a row holds the last pixel of that row and the first of
            // the next.
            let (left, right) =
                if top == bottom { (first % width, last % width) } else { (0, width - 1) };
            let [x0, y0, x1, _] = bounds.unwrap_or([left, top, right, bottom]);
            bounds = Some([x0.min(left), y0, x1.max(right), bottom]);
        }
        bounds.map(|edges| edges.map(|edge| edge as u32))
    }

    /// Returns the mean column and row of the foreground pixels, where 0 is the centre of the first
    /// pixel; `None` for an empty mask.
    pub fn centroid(&self) -> Option<(f64, f64)> {
        let width = self.width as usize;
        let (mut area, mut sum_x, mut sum_y) = (0_u128, 0_u128, 0_u128);
        for run in self.foreground() {
            // A run that crosses the end of a row continues in the next row.
            let mut start = run.start;
            while start < run.end {
                let row = start / width;
                let end = run.end.min((row + 1) * width);
                let length = (end - start) as u128;
                let (first, last) = ((start % width) as u128, ((end - 1) % width) as u128);
                area += length;
                sum_x += (first + last) * length;
                sum_y += row as u128 * length;
                start = end;
            }
        }
        (area > 0).then(|| (sum_x as f64 / 2.0 / area as f64, sum_y as f64 / area as f64))
    }

    /// Returns the mask in a larger frame of `width` x `height`, with its top left corner at
    /// (`left`, `top`). Parts that lie outside the frame are cut off.
    pub fn placed(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let (own_width, frame_width) = (self.width as usize, width as usize);
        // The part that fits, in the columns and rows of this mask.
        let columns = self.width.min(width.saturating_sub(left)) as usize;
        let rows = self.height.min(height.saturating_sub(top)) as usize;
        let mut builder = RunBuilder::default();
        for run in self.foreground() {
            for row in run.start / own_width..rows.min((run.end - 1) / own_width + 1) {
                let start = run.start.saturating_sub(row * own_width).min(columns);
                let end = (run.end - row * own_width).min(columns);
                let at = (top as usize + row) * frame_width + left as usize;
                builder.foreground(at + start..at + end);
            }
        }
        Self { width, height, runs: builder.finish(frame_width * height as usize) }
    }

    /// Writes `value` into `pixels` (reading order, `width * height`) wherever the mask is
    /// foreground.
    pub fn paint(&self, pixels: &mut [u8], value: u8) {
        for run in self.foreground() {
            if let Some(part) = pixels.get_mut(run) {
                part.fill(value);
            }
        }
    }

    /// Returns the mask as one byte per pixel: `value` for foreground, else 0.
    pub fn to_bytes(&self, value: u8) -> Vec<u8> {
        let mut pixels = vec![0; self.width as usize * self.height as usize];
        self.paint(&mut pixels, value);
        pixels
    }

    /// Returns whether the pixel in column `x` and row `y` is foreground; false outside the mask.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        if x >= self.width || y >= self.height {
            return false;
        }
        let position = y as usize * self.width as usize + x as usize;
        // Runs are in reading order: the first that ends behind the position decides.
        self.foreground().find(|run| position < run.end).is_some_and(|run| run.start <= position)
    }

    /// Returns the number of pixels that are foreground in this mask and in another one of the same
    /// size.
    pub fn intersection(&self, other: &Self) -> u64 {
        let (mut a, mut b) = (self.foreground().peekable(), other.foreground().peekable());
        let mut intersection = 0_u64;
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let overlap = x.end.min(y.end).saturating_sub(x.start.max(y.start));
            intersection += overlap as u64;
            if x.end <= y.end {
                a.next();
            } else {
                b.next();
            }
        }
        intersection
    }

    /// Returns the pixels that are foreground in this mask or in another one of the same size.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut pixels = self.to_bytes(1);
        other.paint(&mut pixels, 1);
        Self::encode(self.width, self.height, pixels.into_iter().map(|pixel| pixel != 0))
    }

    /// Returns, for each of the masks of a frame, whether it has more than the share `limit` of the
    /// smaller one in common with another.
    pub fn overlapping(masks: &[&Self], limit: f64) -> Vec<bool> {
        let mut overlaps = vec![false; masks.len()];
        let bounds: Vec<_> = masks.iter().map(|mask| mask.bounds()).collect();
        for second in 1..masks.len() {
            for first in 0..second {
                let (Some(a), Some(b)) = (bounds[first], bounds[second]) else { continue };
                if a[2].min(b[2]) < a[0].max(b[0]) || a[3].min(b[3]) < a[1].max(b[1]) {
                    continue;
                }
                let smaller = masks[first].area().min(masks[second].area()) as f64;
                if masks[first].intersection(masks[second]) as f64 > limit * smaller {
                    overlaps[first] = true;
                    overlaps[second] = true;
                }
            }
        }
        overlaps
    }

    /// Returns the intersection over union with another mask of the same size (the J measure); 1 if
    /// both are empty.
    pub fn iou(&self, other: &Self) -> f64 {
        let intersection = self.intersection(other);
        let union = self.area() + other.area() - intersection;
        if union == 0 { 1.0 } else { intersection as f64 / union as f64 }
    }
}

/// Encodes `pixels` as alternating runs, background first.
pub(crate) fn encode_runs(pixels: impl Iterator<Item = bool>) -> Vec<u32> {
    let mut runs = Vec::new();
    let (mut current, mut length) = (false, 0_u32);
    for pixel in pixels {
        if pixel != current {
            runs.push(length);
            (current, length) = (pixel, 0);
        } else if length == u32::MAX {
            runs.extend([length, 0]);
            length = 0;
        }
        length += 1;
    }
    runs.push(length);
    runs
}

/// Builds runs from foreground stretches that arrive in order.
#[derive(Debug, Default)]
struct RunBuilder {
    runs: Vec<u32>,
    /// The current stretch, which the next one may extend.
    open: std::ops::Range<usize>,
    /// Position up to which `runs` is complete.
    written: usize,
}

impl RunBuilder {
    fn foreground(&mut self, stretch: std::ops::Range<usize>) {
        if stretch.is_empty() {
        } else if self.open.is_empty() {
            self.open = stretch;
        } else if stretch.start == self.open.end {
            self.open.end = stretch.end;
        } else {
            self.close();
            self.open = stretch;
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.push(self.open.start - self.written);
            self.push(self.open.len());
            self.written = self.open.end;
        }
    }

    /// Appends a run. One that is longer than a `u32` is split by an empty run of the other kind.
    fn push(&mut self, mut length: usize) {
        while length > u32::MAX as usize {
            self.runs.extend([u32::MAX, 0]);
            length -= u32::MAX as usize;
        }
        self.runs.push(length as u32);
    }

    /// Returns the runs of a mask of `pixels` pixels.
    fn finish(mut self, pixels: usize) -> Vec<u32> {
        self.close();
        if self.written < pixels || self.runs.is_empty() {
            self.push(pixels - self.written);
        }
        self.runs
    }
}

fn check(width: u32, height: u32, found: u64) -> Result<(), MaskSizeError> {
    let expected = u64::from(width) * u64::from(height);
    if expected == found { Ok(()) } else { Err(MaskSizeError { width, height, expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixels() -> impl Strategy<Value = (u32, u32, Vec<bool>)> {
        (1_u32..9, 1_u32..9).prop_flat_map(|(width, height)| {
            let count = (width * height) as usize;
            (Just(width), Just(height), prop::collection::vec(any::<bool>(), count))
        })
    }

    proptest! {
        #[test]
        fn pixels_survive_encoding((width, height, pixels) in pixels()) {
            let mask = Mask::from_pixels(width, height, pixels.iter().copied()).unwrap();
            let bytes: Vec<bool> = mask.to_bytes(7).into_iter().map(|b| b == 7).collect();
            prop_assert_eq!(&bytes, &pixels);
            prop_assert_eq!(mask.area(), pixels.iter().filter(|&&p| p).count() as u64);
            let again = Mask::from_runs(width, height, mask.runs().to_vec()).unwrap();
            prop_assert_eq!(again, mask);
        }

        #[test]
        fn pixels_and_bytes_are_in_reading_order((width, height, pixels) in pixels()) {
            let bytes: Vec<u8> = pixels.iter().map(|&inside| u8::from(inside) * 200).collect();
            let mask = Mask::from_bytes(width, height, &bytes).unwrap();
            prop_assert_eq!(mask.to_bytes(200), bytes);
            let inside = (0..width * height).filter(|&at| pixels[at as usize]);
            let expected: Vec<_> = inside.map(|at| (at % width, at / width)).collect();
            prop_assert_eq!(mask.pixels().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn bounds_are_the_first_and_last_pixels((width, height, pixels) in pixels()) {
            let mask = Mask::from_pixels(width, height, pixels.iter().copied()).unwrap();
            let inside = || (0..width * height).filter(|&i| pixels[i as usize]);
            let (x, y) = (|| inside().map(|i| i % width), || inside().map(|i| i / width));
            let expected = inside().next().map(|_| {
                [x().min().unwrap(), y().min().unwrap(), x().max().unwrap(), y().max().unwrap()]
            });
            prop_assert_eq!(mask.bounds(), expected);
        }

        #[test]
        fn the_centroid_is_the_mean_pixel((width, height, pixels) in pixels()) {
            let mask = Mask::from_pixels(width, height, pixels.iter().copied()).unwrap();
            let inside: Vec<u32> = (0..width * height).filter(|&i| pixels[i as usize]).collect();
            let mean = |value: fn(u32, u32) -> u32| {
                let sum: u32 = inside.iter().map(|&i| value(i, width)).sum();
                f64::from(sum) / inside.len() as f64
            };
            let expected = (mean(|i, width| i % width), mean(|i, width| i / width));
            prop_assert_eq!(mask.centroid(), (!inside.is_empty()).then_some(expected));
        }

        #[test]
        fn placing_moves_every_pixel_and_cuts_at_the_frame(
            (width, height, pixels) in pixels(),
            (left, top) in (0_u32..10, 0_u32..10),
            (frame_width, frame_height) in (1_u32..16, 1_u32..16),
        ) {
            let mask = Mask::from_pixels(width, height, pixels.iter().copied()).unwrap();
            let mut frame = vec![false; (frame_width * frame_height) as usize];
            for (i, _) in pixels.iter().enumerate().filter(|(_, inside)| **inside) {
                let (x, y) = (left + i as u32 % width, top + i as u32 / width);
                if x < frame_width && y < frame_height {
                    frame[(y * frame_width + x) as usize] = true;
                }
            }
            let expected = Mask::from_pixels(frame_width, frame_height, frame.into_iter());
            prop_assert_eq!(mask.placed(left, top, frame_width, frame_height), expected.unwrap());
        }

        #[test]
        fn iou_counts_pixels(
            (width, height, a) in pixels(),
            seed in prop::collection::vec(any::<bool>(), 64),
        ) {
            let b: Vec<bool> = a.iter().zip(seed.iter().cycle()).map(|(x, y)| x ^ y).collect();
            let mask = |p: &[bool]| Mask::from_pixels(width, height, p.iter().copied()).unwrap();
            let both = a.iter().zip(&b).filter(|(x, y)| **x && **y).count() as f64;
            let either = a.iter().zip(&b).filter(|(x, y)| **x || **y).count() as f64;
            let expected = if either == 0.0 { 1.0 } else { both / either };
            prop_assert_eq!(mask(&a).iou(&mask(&b)), expected);
            prop_assert_eq!(mask(&a).intersection(&mask(&b)) as f64, both);
            let all = mask(&a);
            for y in 0..height + 1 {
                for x in 0..width + 1 {
                    let inside = x < width && y < height && a[(y * width + x) as usize];
                    prop_assert_eq!(all.contains(x, y), inside);
                }
            }
        }
    }

    #[test]
    fn wrong_sizes_are_refused() {
        assert!(Mask::from_pixels(2, 2, [true; 3].into_iter()).is_err());
        assert!(Mask::from_runs(2, 2, vec![1, 4]).is_err());
        let error = Mask::from_bytes(2, 2, &[1; 5]).unwrap_err();
        assert_eq!((error.expected, error.found), (4, 5));
        assert_eq!(Mask::from_bytes(0, 2, &[]).unwrap().pixels().next(), None);
        assert_eq!(Mask::empty(3, 2).runs(), [6]);
    }
}
