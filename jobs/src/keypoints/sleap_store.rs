//! The tables of a SLEAP labels file: instances and points.

use std::collections::HashSet;

use super::hdf5_file::{Elements, File, Numbers, broken};
use super::keypoint::Keypoint;
use super::selection::KeypointSelection;
use super::table::keypoint;

/// Opens a table.
pub(super) fn open(file: &File, name: &str) -> Result<Elements, String> {
    Elements::read(file, &file.dataset(name).map_err(broken)?)
}

/// Returns the error for a table that is inconsistent.
pub(super) fn damaged(dataset: &str) -> String {
    format!("its data set '{dataset}' is damaged")
}

/// Finds the fields of a table's records.
pub(super) fn fields<const N: usize>(
    elements: &Elements,
    dataset: &str,
    names: [&str; N],
) -> Result<[Numbers; N], String> {
    let found: Option<Vec<Numbers>> = names.iter().map(|name| elements.field(name)).collect();
    found.and_then(|found| found.try_into().ok()).ok_or_else(|| damaged(dataset))
}

/// Reads positions and counts.
pub(super) fn whole_numbers<const N: usize>(
    record: &[u8],
    columns: &[Numbers; N],
    dataset: &str,
) -> Result<[usize; N], String> {
    let mut values = [0; N];
    for (value, column) in values.iter_mut().zip(columns) {
        let stored = column.read(record, 0).filter(|stored| (0.0..1e15).contains(stored));
        *value = stored.ok_or_else(|| damaged(dataset))? as usize;
    }
    Ok(values)
}

/// One animal on one frame.
#[derive(Clone, Copy)]
pub(super) struct Instance {
    pub(super) is_predicted: bool,
    pub(super) track: Option<usize>,
    pub(super) skeleton: usize,
    /// The prediction that a person has corrected.
    from: Option<usize>,
    start: usize,
    end: usize,
}

/// The table of instances.
pub(super) struct Instances {
    elements: Elements,
    counts: [Numbers; 4],
    references: [Numbers; 2],
}

impl Instances {
    pub(super) fn open(file: &File) -> Result<Self, String> {
        let elements = open(file, "/instances")?;
        let counts = ["instance_type", "skeleton", "point_id_start", "point_id_end"];
        let counts = fields(&elements, "instances", counts)?;
        let references = fields(&elements, "instances", ["track", "from_predicted"])?;
        Ok(Self { elements, counts, references })
    }

    pub(super) fn len(&self) -> usize {
        self.elements.iter().len()
    }

    pub(super) fn get(&self, index: usize) -> Result<Instance, String> {
        let record = self.elements.get(index).ok_or_else(|| damaged("instances"))?;
        let [kind, skeleton, start, end] = whole_numbers(record, &self.counts, "instances")?;
        // -1 stands for no reference.
        let [track, from] = self.references.map(|column| {
            let value = column.read(record, 0)?;
            (0.0..1e15).contains(&value).then_some(value as usize)
        });
        Ok(Instance { is_predicted: kind == 1, track, skeleton, from, start, end })
    }
}

/// A table of points.
pub(super) struct Points {
    pub(super) elements: Elements,
    xy: [Numbers; 2],
    visible: Option<Numbers>,
    score: Option<Numbers>,
}

impl Points {
    pub(super) fn open(file: &File, name: &str) -> Result<Self, String> {
        let elements = open(file, name)?;
        let xy = fields(&elements, name.trim_start_matches('/'), ["x", "y"])?;
        let (visible, score) = (elements.field("visible"), elements.field("score"));
        Ok(Self { elements, xy, visible, score })
    }
}

/// Instances and their points.
pub(super) struct Store {
    pub(super) instances: Instances,
    pub(super) placed: Points,
    pub(super) predicted: Points,
    /// Subtracted from coordinates.
    pub(super) shift: f64,
}

/// The instances of a frame.
pub(super) struct Shown {
    /// The instances that SLEAP shows.
    pub(super) instances: Vec<usize>,
    /// Number of instances that SLEAP does not show: predictions that a person has corrected.
    pub(super) hidden: usize,
    /// Whether only the counts show that a prediction was corrected: there is one of each kind,
    /// without tracks and without a link.
    pub(super) is_guess: bool,
}

impl Store {
    /// Returns the instances of a frame that SLEAP shows.
    pub(super) fn shown(&self, instances: &[usize]) -> Result<Shown, String> {
        let read = |&index: &usize| Ok((index, self.instances.get(index)?));
        let all = instances.iter().map(read).collect::<Result<Vec<_>, String>>()?;
        let placed = || all.iter().filter(|(_, instance)| !instance.is_predicted);
        let corrected: HashSet<usize> = placed().filter_map(|(_, i)| i.from).collect();
        let tracks: HashSet<usize> = placed().filter_map(|(_, i)| i.track).collect();
        let is_shown = |index: usize, instance: &Instance| {
            !instance.is_predicted
                || !(corrected.contains(&index)
                    || instance.track.is_some_and(|track| tracks.contains(&track)))
        };
        let shown: Vec<usize> =
            all.iter().filter(|(i, instance)| is_shown(*i, instance)).map(|(i, _)| *i).collect();
        let hidden = instances.len() - shown.len();
        // Of two instances without a track, one placed and one predicted, the placed one counts.
        let untracked = all.iter().filter(|(i, it)| it.track.is_none() && is_shown(*i, it));
        let pair: Vec<_> = untracked.take(3).collect();
        if let [(a, first), (b, second)] = pair[..]
            && first.is_predicted != second.is_predicted
            && all.iter().all(|(_, instance)| instance.track.is_none())
        {
            let left = if first.is_predicted { *a } else { *b };
            let instances = shown.into_iter().filter(|index| *index != left).collect();
            return Ok(Shown { instances, hidden, is_guess: true });
        }
        Ok(Shown { instances: shown, hidden, is_guess: false })
    }

    /// Returns where the nodes of an instance were seen.
    pub(super) fn points(
        &self,
        instance: usize,
        nodes: usize,
        selection: &KeypointSelection,
    ) -> Result<Vec<Option<Keypoint>>, String> {
        let Instance { is_predicted, start, end, .. } = self.instances.get(instance)?;
        let table = if is_predicted { &self.predicted } else { &self.placed };
        if end.checked_sub(start) != Some(nodes) || end > table.elements.iter().len() {
            return Err(damaged("instances"));
        }
        let point = |index: usize| {
            let record = table.elements.get(index)?;
            let number = |column: Numbers| column.read(record, 0);
            if table.visible.is_some_and(|visible| number(visible) == Some(0.0)) {
                return None;
            }
            let [x, y] = table.xy.map(|column| number(column).map(|v| (v - self.shift) as f32));
            let score = table.score.and_then(number).map(|score| score as f32);
            keypoint(x, y, score.filter(|score| score.is_finite()).or(Some(1.0)), selection)
        };
        Ok((start..end).map(point).collect())
    }
}
