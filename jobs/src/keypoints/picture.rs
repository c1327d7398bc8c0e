//! Compares the picture of a track's coordinates with the recording's, which may be a part of it or
//! have another size.

use sam2_frame_provider::FrameSize;

use super::notice::TrackNotice;
use super::recording::TrackedRecording;
use super::table::Crop;
use super::track::KeypointTrack;

impl KeypointTrack {
    /// Adds the corner of the part of each frame that DeepLabCut analysed, unless the recording is
    /// that part.
    pub(super) fn add_crop(
        &mut self,
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) {
        let Some(Crop { corner: [x, y], size, note }) = self.crop.take() else { return };
        let FrameSize { width, height } = recording.size;
        let part = size.map(|side| (side as f32 * self.scale).round() as u32);
        let is_part = part == [width, height];
        if is_part {
            notices.push(TrackNotice::Warning(format!(
                "'{note}': DeepLabCut analysed a part of each frame, of {} x {} from column {x} and row {y} on, and the recording has the size of that part: \
                 nothing is added to the track's coordinates (--keypoints-offset {x},{y} adds the corner)",
                size[0], size[1]
            )));
            return;
        }
        notices.push(TrackNotice::Info(format!(
            "'{note}': DeepLabCut analysed a part of each frame that begins at column {x} and row {y}; this is added to the track's \
             coordinates (--keypoints-offset 0,0 leaves them as they are)"
        )));
        for point in self.sightings.iter_mut().flat_map(|of| of.values.iter_mut().flatten()) {
            point.x += x * self.scale;
            point.y += y * self.scale;
        }
    }

    /// Warns about a track whose coordinates belong to a picture of another size than the
    /// recording's.
    pub(super) fn other_size(
        &self,
        recording: &TrackedRecording,
        frames: &[Option<usize>],
    ) -> Option<TrackNotice> {
        let FrameSize { width, height } = recording.size;
        // A reduced video has whole pixels, so sizes are rounded.
        let tolerance = if self.scale == 1.0 { 0.0 } else { self.scale.max(1.0) };
        let offset = self.offset.filter(|offset| *offset != [0.0; 2]);
        let fits = |picture: [u32; 2]| {
            let side = |at: usize, whole: u32| {
                let length = picture[at] as f32 * self.scale;
                match offset {
                    // The picture is a part of the frame, as the user says.
                    Some(offset) => offset[at] * self.scale + length <= whole as f32 + tolerance,
                    None => (length - whole as f32).abs() <= tolerance,
                }
            };
            side(0, width) && side(1, height)
        };
        let of_rows = self.rows.iter().zip(frames).filter(|(_, frame)| frame.is_some());
        let of_rows = of_rows.filter_map(|(row, _)| row.picture);
        let of_file = self.pictures.first().copied();
        let of_file = of_file.filter(|_| !self.pictures.iter().any(|picture| fits(*picture)));
        let [own_width, own_height] =
            of_rows.into_iter().find(|picture| !fits(*picture)).or(of_file)?;
        Some(TrackNotice::Warning(format!(
            "the coordinates of '{}' are of a picture of {own_width} x {own_height}, but the recording's is {}: is it a smaller video (--downsample-factor F) or a cropped one (--keypoints-offset X,Y)?",
            self.path.display(),
            recording.size
        )))
    }
}
