//! The mapping between the recording's pixels and the network's square input, and from its logits
//! back to the recording.
//!
//! The official way, and the default, squashes the whole frame into the square. A [`Region`] takes
//! a part of the frame instead, so that a small animal in a large arena gets the network's whole
//! resolution; [`Fit::Letterbox`] keeps the proportions and fills the rest of the square.

use sam2_frame_provider::resize::{Scale, resize};
use sam2_frame_provider::{FrameSize, RgbFrame};
use sam2_mask_writer::Mask;
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{Device, ModelPoint, NO_OBJECT_LOGIT, Tensor};

use super::options::SessionOptions;
use super::region::{Fit, Region};
use crate::error::EngineError;
use crate::prompt::Point;

/// The mean colour of the network's training images; the network sees such pixels as zero.
const FILL: [u8; 3] = [124, 116, 104];
/// Logits have a quarter of the input's resolution, so the size of the content in the square is a
/// multiple of this.
const STEP: u32 = 4;

/// The mapping between a recording and the network's input, both ways.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    recording: FrameSize,
    region: Region,
    /// Side of the network's input.
    side: u32,
    /// The part of it that the region takes, from the top left.
    content: FrameSize,
    scale: Scale,
    from_logits: Resize,
    to_input: Resize,
    device: Device,
}

impl Placement {
    /// # Errors
    /// [`EngineError::RegionOutside`] if the region is not within the frame.
    pub(super) fn new(
        recording: FrameSize,
        options: &SessionOptions,
        side: usize,
        device: &Device,
    ) -> Result<Self, EngineError> {
        let FrameSize { width, height } = recording;
        let region = options.region.unwrap_or(Region { x: 0, y: 0, width, height });
        if !region.is_within(recording) {
            return Err(EngineError::RegionOutside { region, size: recording });
        }
        let side = side as u32;
        let content = match options.fit {
            Fit::Squash => FrameSize { width: side, height: side },
            Fit::Letterbox => {
                let longest = f64::from(region.width.max(region.height));
                let fitted = |length: u32| {
                    let pixels = f64::from(side) * f64::from(length) / longest;
                    ((pixels / f64::from(STEP)).round() as u32 * STEP).clamp(STEP, side)
                };
                FrameSize { width: fitted(region.width), height: fitted(region.height) }
            }
        };
        let shape = |size: FrameSize| [size.height as usize, size.width as usize];
        let region_shape = [region.height as usize, region.width as usize];
        let low = shape(content).map(|length| length / STEP as usize);
        Ok(Self {
            recording,
            region,
            side,
            content,
            scale: Scale { size: content, mode: options.resize },
            from_logits: Resize::new(Interpolation::Bilinear, low, region_shape, device),
            to_input: Resize::new(
                Interpolation::BilinearAntialias,
                region_shape,
                shape(content),
                device,
            ),
            device: device.clone(),
        })
    }

    /// Returns the scale at which whole frames are the network's input; `None` if frames must be
    /// cut or padded.
    pub(super) fn whole_frame(&self) -> Option<Scale> {
        (self.covers_recording() && self.fills_square()).then_some(self.scale)
    }

    fn covers_recording(&self) -> bool {
        self.region.width == self.recording.width && self.region.height == self.recording.height
    }

    fn fills_square(&self) -> bool {
        self.content.width == self.side && self.content.height == self.side
    }

    /// Converts a frame of the recording to the network's input: RGB8 `[side, side, 3]`.
    pub(super) fn input(&self, frame: &RgbFrame) -> Result<RgbFrame, EngineError> {
        let FrameSize { width, height } = self.content;
        let scaled = if self.covers_recording() {
            resize(frame, width, height, self.scale.mode)?
        } else {
            resize(&self.cut(frame)?, width, height, self.scale.mode)?
        };
        if self.fills_square() {
            return Ok(scaled);
        }
        let side = self.side as usize;
        let mut square = FILL.repeat(side * side);
        let row_bytes = width as usize * 3;
        let rows = square.chunks_exact_mut(side * 3).zip(scaled.data().chunks_exact(row_bytes));
        rows.for_each(|(to, from)| to[..row_bytes].copy_from_slice(from));
        Ok(RgbFrame::new(self.side, self.side, square)?)
    }

    fn cut(&self, frame: &RgbFrame) -> Result<RgbFrame, EngineError> {
        let Region { x, y, width, height } = self.region;
        let row_bytes = frame.width() as usize * 3;
        let columns = x as usize * 3..(x + width) as usize * 3;
        let rows = frame.data().chunks_exact(row_bytes).skip(y as usize).take(height as usize);
        let data: Vec<u8> = rows.flat_map(|row| row[columns.clone()].iter().copied()).collect();
        Ok(RgbFrame::new(width, height, data)?)
    }

    /// Returns whether a point of the recording lies in the region, edges included; false for NaN.
    pub(super) fn contains(&self, point: Point) -> bool {
        self.region.contains(point)
    }

    /// Returns the size of the recording's frames.
    pub(super) fn recording(&self) -> FrameSize {
        self.recording
    }

    /// Returns the number of pixels in the region.
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.region.width) * u64::from(self.region.height)
    }

    /// Returns the region, or `None` if it is the whole frame.
    pub(super) fn region(&self) -> Option<Region> {
        (!self.covers_recording()).then_some(self.region)
    }

    /// Converts the recording's pixels to the network's, via 0..1 to round like the official code.
    pub(super) fn to_model(&self, point: Point) -> ModelPoint {
        let Region { x, y, width, height } = self.region;
        ModelPoint {
            x: (point.x - x as f32) / width as f32 * self.content.width as f32,
            y: (point.y - y as f32) / height as f32 * self.content.height as f32,
            label: point.label,
        }
    }

    /// Converts a mask of the recording to the network's input: `[1, 1, side, side]` of zeros and
    /// ones.
    pub(super) fn mask_input(&self, mask: &Mask) -> Tensor<4> {
        let Region { x, y, width, height } = self.region;
        let pixels = mask.to_bytes(1);
        let rows = pixels.chunks_exact(mask.width() as usize).skip(y as usize);
        let values: Vec<f32> = rows
            .take(height as usize)
            .flat_map(|row| row[x as usize..(x + width) as usize].iter().map(|&v| f32::from(v)))
            .collect();
        let (rows, columns) = (height as usize, width as usize);
        let cut =
            Tensor::<1>::from_floats(&values[..], &self.device).reshape([1, 1, rows, columns]);
        let FrameSize { width: content_width, height: content_height } = self.content;
        let scaled = if (width, height) == (content_width, content_height) {
            cut
        } else {
            self.to_input.forward(cut).greater_equal_scalar(0.5).float()
        };
        if self.fills_square() {
            return scaled;
        }
        let side = self.side as usize;
        let (rows, columns) = (content_height as usize, content_width as usize);
        let square = Tensor::zeros([1, 1, side, side], &self.device);
        square.slice_assign([0..1, 0..1, 0..rows, 0..columns], scaled)
    }

    /// Resizes the network's logits `[1, 1, side / 4, side / 4]` to the region's size:
    /// `[1, 1, height, width]`.
    pub(super) fn logits_of_region(&self, low_res: Tensor<4>) -> Tensor<4> {
        if self.fills_square() {
            return self.from_logits.forward(low_res);
        }
        let rows = (self.content.height / STEP) as usize;
        let columns = (self.content.width / STEP) as usize;
        self.from_logits.forward(low_res.slice([0..1, 0..1, 0..rows, 0..columns]))
    }

    /// Pastes logits of the region `[height, width]` into the recording's size; outside the region
    /// there is no object.
    pub(super) fn paste(&self, logits: Vec<f32>) -> Vec<f32> {
        if self.covers_recording() {
            return logits;
        }
        let Region { x, y, width, .. } = self.region;
        let row = self.recording.width as usize;
        let mut all = vec![NO_OBJECT_LOGIT; row * self.recording.height as usize];
        let rows = all.chunks_exact_mut(row).skip(y as usize);
        for (to, from) in rows.zip(logits.chunks_exact(width as usize)) {
            to[x as usize..(x + width) as usize].copy_from_slice(from);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_frame_provider::resize::ResizeMode;

    fn placement(options: SessionOptions, width: u32, height: u32) -> Placement {
        Placement::new(FrameSize { width, height }, &options, 64, &Device::flex()).unwrap()
    }

    fn frame(width: u32, height: u32) -> RgbFrame {
        let data = (0..width * height).flat_map(|i| [(i % 251) as u8, (i / 7) as u8, 9]).collect();
        RgbFrame::new(width, height, data).unwrap()
    }

    #[test]
    fn text_round_trips_and_nonsense_is_refused_with_the_remedy() {
        let region = Region { x: 3, y: 4, width: 50, height: 6 };
        assert_eq!(region.to_string().parse(), Ok(region));
        for wrong in ["", "1,2,3", "1,2,0,4", "-1,2,3,4", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"] {
            let error = wrong.parse::<Region>().unwrap_err().to_string();
            assert!(error.contains("x,y,width,height"), "{error}");
        }
    }

    #[test]
    fn the_default_is_the_official_squash() {
        let whole = placement(SessionOptions::default(), 90, 50);
        assert_eq!(whole.whole_frame(), Some(Scale::square(64, ResizeMode::PillowBicubic)));
        let point = whole.to_model(Point::positive(45.0, 50.0));
        assert_eq!((point.x, point.y), (32.0, 64.0));
        let all =
            SessionOptions::default().region(Some(Region { x: 0, y: 0, width: 90, height: 50 }));
        assert_eq!(placement(all, 90, 50).whole_frame(), whole.whole_frame());
    }

    #[test]
    fn a_region_is_a_smaller_recording() {
        let region = Region { x: 10, y: 20, width: 30, height: 15 };
        let options = SessionOptions::default().region(Some(region));
        let placement = placement(options, 90, 50);
        assert_eq!(placement.whole_frame(), None);
        let whole = frame(90, 50);
        let cut: Vec<u8> = (20..35)
            .flat_map(|y| (10..40).map(move |x| (x, y)))
            .flat_map(|(x, y)| whole.pixel(x, y).unwrap())
            .collect();
        let cut = RgbFrame::new(30, 15, cut).unwrap();
        let expected = resize(&cut, 64, 64, ResizeMode::PillowBicubic).unwrap();
        assert_eq!(placement.input(&whole).unwrap(), expected);
        let point = placement.to_model(Point::positive(25.0, 35.0));
        assert_eq!((point.x, point.y), (32.0, 64.0));
        assert!(placement.contains(Point::positive(10.0, 20.0)));
        assert!(!placement.contains(Point::positive(9.0, 25.0)));
        assert!(!placement.contains(Point::positive(f32::NAN, 25.0)));
        let pasted = placement.paste(vec![1.0; 30 * 15]);
        assert_eq!(pasted.iter().filter(|&&l| l > 0.0).count(), 30 * 15);
        assert!(
            pasted[20 * 90 + 10] > 0.0 && pasted[20 * 90 + 9] < 0.0 && pasted[34 * 90 + 39] > 0.0
        );
        for region in [
            Region { x: 61, ..region },
            Region { y: 36, ..region },
            Region { x: u32::MAX, ..region },
            Region { width: 0, ..region },
        ] {
            let options = SessionOptions::default().region(Some(region));
            let size = FrameSize { width: 90, height: 50 };
            let error = Placement::new(size, &options, 64, &Device::flex()).unwrap_err();
            assert!(error.to_string().contains("90x50"), "{error}");
        }
    }

    #[test]
    fn a_letterbox_keeps_proportions_and_comes_back() {
        let options = SessionOptions::default().fit(Fit::Letterbox);
        let placement = placement(options, 200, 50);
        let input = placement.input(&frame(200, 50)).unwrap();
        assert_eq!((input.width(), input.height()), (64, 64));
        assert_eq!(input.pixel(63, 16), Some(FILL));
        let scaled = resize(&frame(200, 50), 64, 16, ResizeMode::PillowBicubic).unwrap();
        assert_eq!(input.pixel(63, 15), scaled.pixel(63, 15));
        let point = placement.to_model(Point::positive(100.0, 50.0));
        assert_eq!((point.x, point.y), (32.0, 16.0));
        // A mask goes in, and its logits come back in the same place.
        let inside = |i: u32| (60..120).contains(&(i % 200)) && (10..40).contains(&(i / 200));
        let mask =
            Mask::from_pixels(200, 50, (0..10_000).map(inside).collect::<Vec<_>>().into_iter());
        let mask = mask.unwrap();
        let model_mask = placement.mask_input(&mask);
        assert_eq!(model_mask.dims(), [1, 1, 64, 64]);
        let low: Tensor<6> = model_mask.reshape([1, 1, 16, 4, 16, 4]);
        let low: Tensor<4> = low.mean_dim(5).mean_dim(3).reshape([1, 1, 16, 16]) * 20.0 - 10.0;
        let logits: Vec<f32> = placement.logits_of_region(low).into_data().try_to_vec().unwrap();
        let back = Mask::from_logits(200, 50, &placement.paste(logits)).unwrap();
        assert!(back.iou(&mask) > 0.8, "{}", back.iou(&mask));
    }
}
