//! The contents of the page, complete except for the pictures.

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

/// The results of a run. Add pictures and statistics, then take the page.
pub struct Report {
    pub(crate) run: RunDescription,
    /// Size of the pictures.
    pub(crate) picture: (u32, u32),
    pub(crate) objects: Vec<ObjectHistory>,
    pub(crate) totals: Totals,
    /// The frames to look at, worst first.
    pub(crate) worst: Vec<(Shot, Reason, u32)>,
    pub(crate) prompted: Vec<Shot>,
    pub(crate) even: Vec<Shot>,
    /// Pictures by frame, as data URLs.
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

    /// Returns the indices of the frames that the page shows, in ascending order: a few dozen at
    /// most.
    pub fn frames_to_show(&self) -> Vec<usize> {
        let worst = self.worst.iter().map(|(shot, ..)| shot);
        let shots = worst.chain(&self.prompted).chain(&self.even);
        let frames: BTreeSet<usize> = shots.map(|shot| shot.frame).collect();
        frames.into_iter().collect()
    }

    /// Sets the picture of a frame: RGB8, `height * width * 3` bytes of the recording's size.
    /// Frames without a picture show their masks only.
    ///
    /// # Errors
    /// [`ReportError::PictureSize`], [`ReportError::Encode`].
    pub fn set_picture(&mut self, frame: usize, rgb: &[u8]) -> Result<(), ReportError> {
        let url = picture::data_url(frame, rgb, self.run.size, self.picture)?;
        self.pictures.insert(frame, url);
        Ok(())
    }

    /// Sets the statistics of the run, any JSON, shown as a table.
    pub fn set_statistics(&mut self, statistics: serde_json::Value) {
        self.statistics = Some(statistics);
    }

    /// Adds a note for the reader of the page, such as why there are no pictures.
    pub fn add_note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Returns the number of frames of the run.
    pub fn frames_expected(&self) -> usize {
        self.run.frames.len()
    }

    /// Returns the number of frames that were added.
    pub fn frames_found(&self) -> usize {
        self.totals.frames
    }

    /// Returns whether every frame of the run was added.
    pub fn is_complete(&self) -> bool {
        self.frames_found() == self.frames_expected()
    }

    /// Returns the number of objects, including those that are neither plotted nor drawn.
    pub(crate) fn object_count(&self) -> usize {
        self.objects.len() + self.totals.left_out.len()
    }

    /// Returns the number of flagged masks, which a person should check.
    pub fn flagged_masks(&self) -> usize {
        self.totals.flagged_masks
    }

    /// Returns the number of frames without a single pixel of any mask, prompted or not.
    pub fn empty_frames(&self) -> usize {
        self.totals.empty_frames()
    }

    /// Returns the number of frames in which no object was tracked, because nothing had been
    /// prompted.
    pub fn unprompted_frames(&self) -> usize {
        self.totals.unprompted.count()
    }

    /// Returns the page: self-contained HTML in UTF-8.
    pub fn page(&self) -> impl fmt::Display + '_ {
        page::Page(self)
    }
}
