//! Prompts that a user gives individually, gathered by frame and object.

use std::collections::{BTreeMap, HashMap};

use sam2_mask_writer::Mask;

use super::job_prompt::JobPrompt;
use sam2_engine::{BoxPrompt, ObjectId, Point};

/// Two prompts that contradict each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptConflict {
    /// An object has a second box on a frame.
    #[error("object {object} has two boxes on frame {frame}: give one, or number the objects")]
    TwoBoxes {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
    },
    /// An object has a second mask on a frame.
    #[error("object {object} has two masks on frame {frame}: give one, or number the objects")]
    TwoMasks {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
    },
    /// An object has two names, in two files for example.
    #[error("object {object} is called both '{first}' and '{second}': number the objects alike")]
    TwoNames {
        /// The object.
        object: ObjectId,
        /// Its first name.
        first: String,
        /// The other one.
        second: String,
    },
    /// A name has two numbers, in a track and a file for example.
    #[error("'{name}' is both object {first} and object {second}: number the objects alike")]
    TwoNumbers {
        /// The name.
        name: String,
        /// Its first number.
        first: ObjectId,
        /// The other one.
        second: ObjectId,
    },
    /// No object number is left for a name.
    #[error("no number is left for '{name}': at most 255 objects can be segmented together")]
    TooManyObjects {
        /// The name.
        name: String,
    },
}

/// Prompts, at most one for each frame and object, in the order in which they were first mentioned,
/// and the names of objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptSet {
    prompts: Vec<JobPrompt>,
    /// The position of the prompt for a frame and object. Files of annotation tools hold thousands
    /// of prompts.
    places: HashMap<(usize, ObjectId), usize>,
    names: BTreeMap<ObjectId, String>,
}

impl PromptSet {
    /// Creates a set without prompts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the prompts.
    pub fn prompts(&self) -> &[JobPrompt] {
        &self.prompts
    }

    /// Returns the names of objects.
    pub fn names(&self) -> &BTreeMap<ObjectId, String> {
        &self.names
    }

    /// Returns `true` if there is no prompt.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// Names an object.
    ///
    /// # Errors
    /// [`PromptConflict::TwoNames`].
    pub fn name(&mut self, object: ObjectId, name: &str) -> Result<(), PromptConflict> {
        let first = self.names.entry(object).or_insert_with(|| name.to_owned()).clone();
        if first == name {
            return Ok(());
        }
        Err(PromptConflict::TwoNames { object, first, second: name.to_owned() })
    }

    /// Adds a click.
    pub fn add_point(&mut self, frame: usize, object: ObjectId, point: Point) {
        let points = &mut self.entry(frame, object).points;
        points.push((format!("point {}", points.len() + 1), point));
    }

    /// Adds a box.
    ///
    /// # Errors
    /// [`PromptConflict::TwoBoxes`].
    pub fn add_box(
        &mut self,
        frame: usize,
        object: ObjectId,
        bounds: BoxPrompt,
    ) -> Result<(), PromptConflict> {
        match self.entry(frame, object).bounds.replace(bounds) {
            Some(_) => Err(PromptConflict::TwoBoxes { object, frame }),
            None => Ok(()),
        }
    }

    /// Adds a mask of the recording's size.
    ///
    /// # Errors
    /// [`PromptConflict::TwoMasks`].
    pub fn add_mask(
        &mut self,
        frame: usize,
        object: ObjectId,
        mask: Mask,
    ) -> Result<(), PromptConflict> {
        match self.entry(frame, object).mask.replace(mask) {
            Some(_) => Err(PromptConflict::TwoMasks { object, frame }),
            None => Ok(()),
        }
    }

    /// Says which of the decoder's candidate masks the points and the box of an object take, 0 to 2.
    pub fn choose_candidate(&mut self, frame: usize, object: ObjectId, candidate: u8) {
        self.entry(frame, object).candidate = Some(candidate);
    }

    /// Adds the prompts and names of another set.
    ///
    /// # Errors
    /// [`PromptConflict`] if the two contradict each other.
    pub fn merge(&mut self, other: Self) -> Result<(), PromptConflict> {
        for (object, name) in &other.names {
            self.name(*object, name)?;
        }
        for JobPrompt { frame, object, points, bounds, mask, candidate } in other.prompts {
            for (_, point) in points {
                self.add_point(frame, object, point);
            }
            if let Some(bounds) = bounds {
                self.add_box(frame, object, bounds)?;
            }
            if let Some(mask) = mask {
                self.add_mask(frame, object, mask)?;
            }
            if let Some(candidate) = candidate {
                self.choose_candidate(frame, object, candidate);
            }
        }
        Ok(())
    }

    fn entry(&mut self, frame: usize, object: ObjectId) -> &mut JobPrompt {
        let next = self.prompts.len();
        let index = *self.places.entry((frame, object)).or_insert(next);
        if index == next {
            self.prompts.push(JobPrompt::empty(frame, object));
        }
        &mut self.prompts[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_of_one_object_and_frame_are_one() {
        let (mut set, one, two) = (PromptSet::new(), ObjectId(1), ObjectId(2));
        set.add_point(0, one, Point::positive(1.0, 1.0));
        set.add_point(0, two, Point::positive(3.0, 3.0));
        let mut other = PromptSet::new();
        other.add_point(0, one, Point::negative(2.0, 2.0));
        let bounds = BoxPrompt { x0: 0.0, y0: 0.0, x1: 9.0, y1: 9.0 };
        other.add_box(0, two, bounds).unwrap();
        set.merge(other.clone()).unwrap();
        let [first, second] = set.prompts() else { panic!("{set:?}") };
        assert_eq!((first.points.len(), first.bounds), (2, None));
        assert_eq!(first.points[1].0, "point 2");
        assert_eq!((second.points.len(), second.bounds), (1, Some(bounds)));
        assert_eq!(set.merge(other), Err(PromptConflict::TwoBoxes { object: two, frame: 0 }));
    }

    #[test]
    fn an_object_has_one_name() {
        let mut set = PromptSet::new();
        set.name(ObjectId(1), "ann").unwrap();
        set.name(ObjectId(1), "ann").unwrap();
        let message = set.name(ObjectId(1), "bob").unwrap_err().to_string();
        assert!(message.contains("object 1") && message.contains("bob"), "{message}");
    }
}
