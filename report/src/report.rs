//! What the page shows, complete but for the pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::candidates::Reason;
use crate::collect::Totals;
use crate::describe::RunDescription;
use crate::error::ReportError;
use crate::object::ObjectHistory;
use crate::page;
use crate::picture;
use crate::shot::Shot;

/// What came of a run. Give it pictures and statistics, then take the page.
pub struct Report {
    pub(crate) run: RunDescription,
    /// Size of the pictures.
    pub(crate) picture: (u32, u32),
    pub(crate) objects: Vec<ObjectHistory>,
    pub(crate) totals: Totals,
    /// Worst first.
    pub(crate) worst: Vec<(Shot, Reason, u32)>,
    pub(crate) prompted: Vec<Shot>,
    pub(crate) even: Vec<Shot>,
    /// By frame, as addresses that hold the picture.
    pub(crate) pictures: BTreeMap<usize, String>,
    pub(crate) statistics: Option<serde_json::Value>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        run: RunDescription,
        picture: (u32, u32),
        objects: Vec<ObjectHistory>,
        totals: Totals,
        worst: Vec<(Shot, Reason, u32)>,
        prompted: Vec<Shot>,
        even: Vec<Shot>,
    ) -> Self {
        let (pictures, statistics, notes) = (BTreeMap::new(), None, Vec::new());
        Self { run, picture, objects, totals, worst, prompted, even, pictures, statistics, notes }
    }

    /// Numbers of the frames that the page shows, ascending: a few dozen at most.
    pub fn frames_to_show(&self) -> Vec<usize> {
        let worst = self.worst.iter().map(|(shot, ..)| shot);
        let shots = worst.chain(&self.prompted).chain(&self.even);
        let frames: BTreeSet<usize> = shots.map(|shot| shot.frame).collect();
        frames.into_iter().collect()
    }

    /// Gives the picture of a frame: RGB8, `height * width * 3` bytes of the recording's size. Where none is given, the masks
    /// are shown alone.
    ///
    /// # Errors
    /// [`ReportError::PictureSize`], [`ReportError::Encode`].
    pub fn set_picture(&mut self, frame: usize, rgb: &[u8]) -> Result<(), ReportError> {
        let url = picture::data_url(frame, rgb, self.run.size, self.picture)?;
        self.pictures.insert(frame, url);
        Ok(())
    }

    /// Gives what was measured while the run was made: any JSON, shown as a table.
    pub fn set_statistics(&mut self, statistics: serde_json::Value) {
        self.statistics = Some(statistics);
    }

    /// Adds a sentence that the reader of the page must know, such as why there are no pictures.
    pub fn add_note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Frames of the run.
    pub fn frames_expected(&self) -> usize {
        self.run.frames.len()
    }

    /// Frames that came.
    pub fn frames_found(&self) -> usize {
        self.totals.frames
    }

    /// Whether every frame of the run came.
    pub fn is_complete(&self) -> bool {
        self.frames_found() == self.frames_expected()
    }

    /// Masks that a person should look at.
    pub fn flagged_masks(&self) -> usize {
        self.totals.flagged_masks
    }

    /// Returns the number of frames without a single pixel of any mask, prompted or not.
    pub fn empty_frames(&self) -> usize {
        self.totals.empty_frames()
    }

    /// Frames in which nothing was looked for, as nothing was prompted.
    pub fn unprompted_frames(&self) -> usize {
        self.totals.unprompted.count()
    }

    /// The page: HTML in UTF-8, complete in itself.
    pub fn page(&self) -> impl fmt::Display + '_ {
        page::Page(self)
    }
}
