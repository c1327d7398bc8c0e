//! Recordings with more than one axis, and the choice of the images that are the frames.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::FrameError;

/// A position on an axis: a number, or a name, as some programs give to channels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coordinate {
    /// A number, counted from 0.
    Number(i64),
    /// A name as stored, such as `GFP`.
    Name(String),
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<i64> for Coordinate {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Coordinate {
    fn from(name: &str) -> Self {
        name.parse().map_or_else(|_| Self::Name(name.to_owned()), Self::Number)
    }
}

/// Which images of a recording with several axes (time, channel, z, position) are its frames.
///
/// By default, frames run along `time`. If `time` has only one value, they run along `z`, or else
/// along the axis with the most values. On every other axis the first value is used (the smallest
/// number, or the name stored first). A warning lists what is left out. Axis names are those of the
/// file; the *frames* of ImageJ and Micro-Manager are called `time`, their *slices* `z`.
///
/// The text form consists of pairs of an axis and a value; `along` names the axis of the frames.
///
/// ```
/// use sam2_frame_provider::Axes;
/// let text: Axes = "along=z,channel=GFP,position=2".parse()?;
/// assert_eq!(text, Axes::default().along("z").at("channel", "GFP").at("position", 2));
/// # Ok::<(), sam2_frame_provider::ParseAxesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Axes {
    along: Option<String>,
    at: BTreeMap<String, Coordinate>,
}

impl Axes {
    /// Makes the frames run along this axis.
    #[must_use]
    pub fn along(mut self, axis: impl Into<String>) -> Self {
        self.along = Some(axis.into());
        self
    }

    /// Uses this position on this axis for all frames. A name that consists of digits counts as a
    /// number.
    #[must_use]
    pub fn at(mut self, axis: impl Into<String>, place: impl Into<Coordinate>) -> Self {
        self.at.insert(axis.into(), place.into());
        self
    }

    /// Returns true if nothing was requested.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Text that is not a valid [`Axes`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a choice of axes; write pairs such as channel=GFP,z=3,position=0 and the axis of the frames as along=time"
)]
pub struct ParseAxesError {
    text: String,
}

impl FromStr for Axes {
    type Err = ParseAxesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut axes = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').map(|(axis, value)| (axis.trim(), value.trim())) {
                Some((axis, value)) if axis.is_empty() || value.is_empty() => {
                    return Err(ParseAxesError { text: text.to_owned() });
                }
                Some(("along", value)) => axes.along = Some(value.to_owned()),
                Some((axis, value)) => {
                    axes.at.insert(axis.to_owned(), value.into());
                }
                None => return Err(ParseAxesError { text: text.to_owned() }),
            }
        }
        Ok(axes)
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let along = self.along.iter().map(|axis| format!("along={axis}"));
        let at = self.at.iter().map(|(axis, place)| format!("{axis}={place}"));
        f.write_str(&along.chain(at).collect::<Vec<_>>().join(","))
    }
}

/// Position of each image of a recording on each axis.
///
/// Positions are kept as small numbers, axis by axis, so that a million images cost a few
/// megabytes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    axes: Vec<Axis>,
    images: usize,
    /// Images that are never frames, ascending.
    left_out: Vec<usize>,
    /// True if there are more than [`Table::MOST_AXES`].
    has_too_many_axes: bool,
}

#[derive(Debug)]
struct Axis {
    name: String,
    /// The distinct values, in order of first appearance. An image that lacks the axis has
    /// `Number(0)`.
    values: Vec<Coordinate>,
    numbers: HashMap<Coordinate, u32>,
    /// For each image, the index of its value.
    places: Vec<u32>,
}

impl Axis {
    fn number(&mut self, value: Coordinate) -> u32 {
        let next = self.values.len() as u32;
        let values = &mut self.values;
        *self.numbers.entry(value).or_insert_with_key(|value| {
            values.push(value.clone());
            next
        })
    }

    fn value(&self, number: u32) -> &Coordinate {
        &self.values[number as usize]
    }

    /// Returns the index of the smallest number, or without numbers that of the first name.
    fn first(&self) -> u32 {
        let numbers = (0..).zip(&self.values);
        numbers
            .filter(|(_, value)| matches!(value, Coordinate::Number(_)))
            .min_by(|a, b| a.1.cmp(b.1))
            .map_or(0, |(number, _)| number)
    }

    /// Lists the values for a message; a long list is shortened.
    fn list(&self) -> String {
        const SHOWN: usize = 8;
        let mut sorted: Vec<&Coordinate> = self.values.iter().collect();
        sorted.sort();
        let shown: Vec<String> = sorted.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = if sorted.len() > SHOWN { ", ..." } else { "" };
        format!("{}{more}", shown.join(", "))
    }
}

/// The frames of a recording, and warnings about the choice.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Indices of the images, in the order of the frames.
    pub(crate) images: Vec<usize>,
    pub(crate) warnings: Vec<String>,
}

impl Table {
    /// The largest number of axes that an image can have: a few bytes of metadata could name any
    /// number.
    pub(crate) const MOST_AXES: usize = 32;

    /// Adds an image with its positions. If there are more than [`Table::MOST_AXES`] axes in all,
    /// no frames can be chosen.
    pub(crate) fn push<N>(&mut self, places: impl IntoIterator<Item = (N, Coordinate)>)
    where
        N: AsRef<str> + Into<String>,
    {
        for (name, place) in places {
            let known = self.axes.iter().position(|axis| axis.name == name.as_ref());
            let at = match known {
                Some(at) => at,
                None if self.axes.len() == Self::MOST_AXES => {
                    self.has_too_many_axes = true;
                    continue;
                }
                None => {
                    let mut axis = Axis {
                        name: name.into(),
                        values: Vec::new(),
                        numbers: HashMap::new(),
                        places: Vec::new(),
                    };
                    // Images before this one lack the axis, which counts as 0.
                    if self.images > 0 {
                        axis.number(Coordinate::Number(0));
                        axis.places.resize(self.images, 0);
                    }
                    self.axes.push(axis);
                    self.axes.len() - 1
                }
            };
            let axis = &mut self.axes[at];
            let number = axis.number(place);
            axis.places.truncate(self.images);
            axis.places.push(number);
        }
        for axis in self.axes.iter_mut().filter(|axis| axis.places.len() == self.images) {
            let number = axis.number(Coordinate::Number(0));
            axis.places.push(number);
        }
        self.images += 1;
    }

    /// Adds an image that is never a frame.
    pub(crate) fn push_left_out(&mut self) {
        self.left_out.push(self.images);
        // The first value of each axis, so that no new value is added.
        self.axes.iter_mut().for_each(|axis| axis.places.push(0));
        self.images += 1;
    }

    /// Returns a full grid, stored with the last axis changing fastest.
    pub(crate) fn grid(sizes: &[(&str, usize)]) -> Self {
        let count: usize = sizes.iter().map(|(_, size)| size).product();
        let mut repeats = count;
        let axis = |&(name, size): &(&str, usize)| {
            repeats /= size.max(1);
            let values = (0..size as i64).map(Coordinate::Number);
            Axis {
                name: name.to_owned(),
                numbers: values.clone().zip(0..).collect(),
                values: values.collect(),
                places: (0..count).map(|image| (image / repeats % size) as u32).collect(),
            }
        };
        Self { axes: sizes.iter().map(axis).collect(), images: count, ..Self::default() }
    }

    fn place(&self, image: usize, axis: usize) -> u32 {
        self.axes[axis].places[image]
    }

    /// Chooses the frames.
    pub(crate) fn choose(&self, path: &Path, wanted: &Axes) -> Result<Choice, FrameError> {
        let refuse = |what: String| FrameError::Unsupported { path: path.to_owned(), what };
        let known = || {
            let axes = self.axes.iter().map(|axis| format!("{} ({})", axis.name, axis.list()));
            axes.collect::<Vec<_>>().join(", ")
        };
        for name in wanted.along.iter().chain(wanted.at.keys()) {
            if !self.axes.iter().any(|axis| axis.name == *name) {
                return Err(refuse(format!("has no axis {name}; it has {}", known())));
            }
        }
        if self.has_too_many_axes {
            let most = Self::MOST_AXES;
            return Err(refuse(format!("has more than {most} axes, which no recording has")));
        }
        let along = self.frame_axis(wanted);
        let mut choice = Choice::default();
        let mut fixed = Vec::new();
        for (at, axis) in self.axes.iter().enumerate().filter(|(at, _)| Some(*at) != along) {
            let number = match wanted.at.get(&axis.name) {
                Some(place) => *axis.numbers.get(place).ok_or_else(|| {
                    refuse(format!("has no {} {place}; choose one of {}", axis.name, axis.list()))
                })?,
                None => axis.first(),
            };
            if axis.values.len() > 1 && !wanted.at.contains_key(&axis.name) {
                choice.warnings.push(format!(
                    "{}: only {} {} is read, of {} ({}); choose with the axes option, as {}={}",
                    path.display(),
                    axis.name,
                    axis.value(number),
                    axis.values.len(),
                    axis.list(),
                    axis.name,
                    axis.value(number),
                ));
            }
            fixed.push((at, number));
        }
        let mut frames: Vec<(&Coordinate, usize)> = Vec::new();
        for image in 0..self.images {
            let is_chosen = fixed.iter().all(|&(axis, number)| self.place(image, axis) == number);
            if is_chosen && self.left_out.binary_search(&image).is_err() {
                let frame = along.map_or(&Coordinate::Number(0), |axis| {
                    self.axes[axis].value(self.place(image, axis))
                });
                frames.push((frame, image));
            }
        }
        // An image that was written twice counts once, in its last version.
        frames.sort_by_key(|(frame, image)| (*frame, std::cmp::Reverse(*image)));
        frames.dedup_by_key(|(frame, _)| *frame);
        if frames.is_empty() {
            let what = "holds no image with the chosen axes; it has";
            return Err(refuse(format!("{what} {}", known())));
        }
        if let Some(along) = along {
            choice.warnings.extend(self.frame_axis_warnings(path, along, wanted, &frames));
        }
        choice.images = frames.into_iter().map(|(_, image)| image).collect();
        Ok(choice)
    }

    /// Returns the axis that frames run along; `None` if there are no axes.
    fn frame_axis(&self, wanted: &Axes) -> Option<usize> {
        let named = |name: &str| self.axes.iter().position(|axis| axis.name == name);
        if let Some(name) = &wanted.along {
            return named(name);
        }
        let is_free = |at: &usize| {
            self.axes[*at].values.len() > 1 && !wanted.at.contains_key(&self.axes[*at].name)
        };
        let longest = (0..self.axes.len())
            .filter(is_free)
            // Of several axes of the same length, the first.
            .max_by_key(|&at| (self.axes[at].values.len(), std::cmp::Reverse(at)));
        named("time").filter(is_free).or_else(|| named("z").filter(is_free)).or(longest)
    }

    fn frame_axis_warnings(
        &self,
        path: &Path,
        along: usize,
        wanted: &Axes,
        frames: &[(&Coordinate, usize)],
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let name = &self.axes[along].name;
        if wanted.along.is_none() && name != "time" {
            warnings.push(format!(
                "{}: the frames run along {name}, since there is one time point only",
                path.display()
            ));
        }
        let ends = frames.first().zip(frames.last());
        if let Some(((Coordinate::Number(first), _), (Coordinate::Number(last), _))) = ends {
            let missing = last.abs_diff(*first).saturating_add(1) - frames.len() as u64;
            if *first != 0 || missing > 0 {
                warnings.push(format!(
                    "{}: {name} runs from {first} to {last} with {missing} missing, so frame numbers are not {name} \
                     numbers",
                    path.display()
                ));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(table: &Table, axes: &str) -> Result<Choice, FrameError> {
        table.choose(Path::new("clip"), &axes.parse().unwrap())
    }

    #[test]
    fn time_comes_first_and_what_is_left_out_is_told() {
        let table = Table::grid(&[("time", 3), ("z", 2), ("channel", 2)]);
        let choice = choose(&table, "").unwrap();
        assert_eq!(choice.images, [0, 4, 8]);
        assert_eq!(choice.warnings.len(), 2);
        assert_eq!(
            choice.warnings[0],
            "clip: only z 0 is read, of 2 (0, 1); choose with the axes option, as z=0"
        );
        let choice = choose(&table, "channel=1,z=1").unwrap();
        assert_eq!((choice.images.as_slice(), choice.warnings.len()), ([3, 7, 11].as_slice(), 0));
        let choice = choose(&table, "along=z,time=2,channel=0").unwrap();
        assert_eq!((choice.images.as_slice(), choice.warnings.len()), ([8, 10].as_slice(), 0));
    }

    #[test]
    fn without_time_the_frames_run_along_what_there_is() {
        let choice = choose(&Table::grid(&[("time", 1), ("z", 4)]), "").unwrap();
        assert_eq!(choice.images, [0, 1, 2, 3]);
        assert!(choice.warnings[0].contains("along z"), "{:?}", choice.warnings);
        assert_eq!(choose(&Table::grid(&[("row", 2), ("column", 3)]), "").unwrap().images.len(), 3);
        assert_eq!(choose(&Table::grid(&[("time", 1)]), "").unwrap().images, [0]);
        assert_eq!(choose(&Table::grid(&[]), "").unwrap().images, [0]);
        assert_eq!(
            choose(&Table::grid(&[("time", 2), ("z", 3)]), "time=1").unwrap().images,
            [3, 4, 5]
        );
    }

    #[test]
    fn names_gaps_doubles_and_missing_axes() {
        let mut table = Table::default();
        let place = |time: i64, channel: &str| {
            [("time".to_owned(), Coordinate::from(time)), ("channel".to_owned(), channel.into())]
        };
        for (time, channel) in [(5, "b"), (5, "a"), (2, "b"), (2, "b"), (3, "a")] {
            table.push(place(time, channel));
        }
        let choice = choose(&table, "").unwrap();
        assert_eq!(choice.images, [3, 0], "the first name, in the order of time, the later double");
        assert!(choice.warnings[1].contains("from 2 to 5 with 2 missing"), "{:?}", choice.warnings);
        assert_eq!(choose(&table, "channel=a").unwrap().images, [4, 1]);
        table.push([("position".to_owned(), Coordinate::from(1))]);
        let error = choose(&table, "position=1,channel=a").unwrap_err();
        assert!(error.to_string().contains("no image with the chosen axes"), "{error}");
        let error = choose(&table, "channel=c").unwrap_err();
        assert!(error.to_string().contains("has no channel c; choose one of 0, a, b"), "{error}");
        let error = choose(&table, "tile=1").unwrap_err();
        assert!(error.to_string().contains("has no axis tile; it has time"), "{error}");
    }

    #[test]
    fn no_recording_has_hundreds_of_axes() {
        let mut table = Table::default();
        for axis in 0..Table::MOST_AXES {
            table.push([(format!("axis{axis}"), Coordinate::from(1))]);
        }
        assert!(choose(&table, "").is_ok());
        table.push([("another", Coordinate::from(1))]);
        let error = choose(&table, "").unwrap_err();
        assert!(error.to_string().contains("has more than 32 axes"), "{error}");
    }

    #[test]
    fn text_round_trips() {
        for text in ["", "along=z", "along=time,channel=GFP,z=3"] {
            assert_eq!(text.parse::<Axes>().unwrap().to_string(), text);
        }
        for text in ["z", "=3", "z="] {
            assert!(text.parse::<Axes>().is_err(), "{text}");
        }
    }
}
