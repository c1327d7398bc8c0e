//! NWB files with poses (the extension ndx-pose). Each animal has a `PoseEstimation`, and in it
//! each body part has a `PoseEstimationSeries`.
//!
//! A series has times instead of frames: time stamps, or a starting time and a rate, in seconds of
//! the session's clock. Series of one animal can have different times, as sleap-io leaves out
//! missing samples. Only the recording can tell to which frames the times belong (see `locate`).
//! Such files are written by sleap-io, DLC2NWB, NeuroConv and others. The layout is described in
//! ndx-pose's schema.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::hdf5_file::{Dataset, Elements, File, Group, Numbers, broken, text_attribute, texts};
use super::keypoint::{Individual, Keypoint};
use super::quoting::quote;
use super::selection::KeypointSelection;
use super::table::{
    RowKey, RowTimes, Rows, Sightings, Table, check_density, keypoint, push_new, selected, side,
};

/// DeepLabCut's threshold, for likelihoods on its scale.
const DLC_MIN_LIKELIHOOD: f32 = 0.6;
/// Programs with likelihoods on that scale.
const LIKE_DLC: [&str; 2] = ["deeplabcut", "lightning"];
/// Depth to which nested groups are searched.
const DEEPEST: usize = 8;
/// Largest number of groups that are searched.
const MOST_GROUPS: usize = 20_000;
/// Times that differ by less than one tick are the same.
const TICKS_PER_SECOND: f64 = 1e6;
/// Approximate memory of a sample with its row, in bytes.
const SAMPLE_BYTES: usize = 128;
/// A prefix that some programs put before names.
const SERIES: &str = "PoseEstimationSeries";

pub(super) fn recognise(file: &File) -> bool {
    file.root_group().is_ok_and(|root| {
        root.attribute("nwb_version").is_ok()
            || text_attribute(&root, "neurodata_type").as_deref() == Some("NWBFile")
    })
}

fn is_a(group: &Group, wanted: &str) -> bool {
    text_attribute(group, "neurodata_type").as_deref() == Some(wanted)
}

/// Finds the groups of a type, at any depth.
fn find(root: Group, wanted: &str) -> Result<Vec<Group>, String> {
    let (mut found, mut open, mut looked) = (Vec::new(), vec![(root, 0)], 0);
    while let Some((group, depth)) = open.pop() {
        looked += 1;
        if looked > MOST_GROUPS {
            return Err("its HDF5 has too many groups".into());
        }
        if is_a(&group, wanted) {
            found.push(group);
        } else if depth < DEEPEST {
            // Last in, first out.
            let groups = group.groups().map_err(broken)?;
            open.extend(groups.into_iter().rev().map(|group| (group, depth + 1)));
        }
    }
    Ok(found)
}

/// The samples of one body part.
struct Series {
    part: String,
    ticks: Vec<i64>,
    /// x, y and likelihood of each sample.
    samples: Vec<[Option<f32>; 3]>,
}

/// One animal.
struct Animal {
    name: String,
    video: Option<String>,
    /// Possible sizes of the recording. Empty if not given.
    pictures: Vec<[u32; 2]>,
    series: Vec<Series>,
    is_like_dlc: bool,
}

pub(super) fn read(file: &File, selection: &KeypointSelection) -> Result<Table, String> {
    let root = file.root_group().map_err(broken)?;
    let poses = find(root, "PoseEstimation")?;
    if poses.is_empty() {
        let root = file.root_group().map_err(broken)?;
        return Err(match find(root, "PoseTraining")?.is_empty() {
            false => "it is an NWB file with labelled training frames (PoseTraining) but no PoseEstimation: give SLEAP's .slp or DeepLabCut's labelled data that it was made from".into(),
            true => "it is an NWB file without poses (no PoseEstimation of ndx-pose): give the track that DeepLabCut or SLEAP wrote".into(),
        });
    }
    let animals =
        poses.iter().map(|pose| animal(file, pose)).collect::<Result<Vec<Animal>, String>>()?;

    // The row of every time at which something was seen, for each recording.
    let mut times: BTreeMap<(Option<&str>, i64), usize> = BTreeMap::new();
    for animal in &animals {
        for tick in animal.series.iter().flat_map(|series| &series.ticks) {
            times.insert((animal.video.as_deref(), *tick), 0);
        }
    }
    let mut rows = Rows::default();
    let mut seconds = Vec::with_capacity(times.len());
    let mut videos: HashMap<&str, usize> = HashMap::new();
    let (mut of_video, mut position) = (None, 0);
    for ((video, tick), row) in &mut times {
        if of_video != Some(*video) {
            (of_video, position) = (Some(*video), 0);
        }
        let video = video.map(|video| *videos.entry(video).or_insert_with(|| rows.video(video)));
        *row = rows.add(RowKey::Frame(position), video)?;
        seconds.push(*tick as f64 / TICKS_PER_SECOND);
        position += 1;
    }

    let mut table = Table::default();
    let is_alone = animals.len() == 1;
    let mut names: Vec<String> = Vec::new();
    let is_one_recording = animals.iter().all(|animal| animal.video == animals[0].video);
    for Animal { name, video, pictures, series, is_like_dlc } in &animals {
        if is_one_recording && table.pictures.is_empty() {
            table.pictures.clone_from(pictures);
        }
        // The same animal in several recordings is one individual.
        let individual = names.iter().position(|known| known == name);
        let own: Vec<String> = series.iter().map(|series| series.part.clone()).collect();
        own.iter().for_each(|part| push_new(&mut table.bodyparts, part));
        let parts = match individual {
            Some(known) => table.individuals[known].bodyparts.clone(),
            None => selected(&own, selection),
        };
        let individual = individual.unwrap_or_else(|| {
            let is_nameless = is_alone && name.contains("PoseEstimation");
            names.push(name.clone());
            table.individuals.push(Individual {
                name: (!is_nameless).then(|| name.clone()),
                bodyparts: parts.clone(),
            });
            table.sightings.push(Sightings::default());
            names.len() - 1
        });
        if *is_like_dlc {
            table.default_min_likelihood = DLC_MIN_LIKELIHOOD;
        }
        let ticks: BTreeSet<i64> =
            series.iter().flat_map(|series| &series.ticks).copied().collect();
        let samples = series.iter().map(|series| series.ticks.len()).sum();
        check_density(ticks.len(), parts.len(), samples)?;
        let mut seen: BTreeMap<usize, Vec<Option<Keypoint>>> = BTreeMap::new();
        for series in series {
            let Some(place) = parts.iter().position(|part| *part == series.part) else { continue };
            for (tick, [x, y, likelihood]) in series.ticks.iter().zip(&series.samples) {
                let Some(row) = times.get(&(video.as_deref(), *tick)) else { continue };
                let likelihood = likelihood.filter(|value| value.is_finite()).or(Some(1.0));
                let of_row = seen.entry(*row).or_insert_with(|| vec![None; parts.len()]);
                of_row[place] = keypoint(*x, *y, likelihood, selection);
            }
        }
        for (row, seen) in seen {
            table.sightings[individual].note(row, &seen);
        }
    }
    table.rows = rows;
    table.times = Some(RowTimes { seconds });
    Ok(table)
}

fn animal(file: &File, pose: &Group) -> Result<Animal, String> {
    let group = pose.name();
    let text = |name: &str| {
        let found = pose.dataset(name).ok().and_then(|dataset| texts(file, &dataset).ok());
        found.unwrap_or_default()
    };
    let nodes = text("nodes");
    // sleap-io names an animal `track=NAME`.
    let name = group.strip_prefix("track=").unwrap_or(group).to_owned();
    let software = text("source_software").concat().to_lowercase();
    let mut videos = text("original_videos");
    // Several files are the parts of one recording, or its views. The rows then have no recording
    // name.
    let video = if videos.len() == 1 { videos.pop() } else { None };
    let groups = pose.groups().map_err(broken)?;
    let stored: Vec<&Group> = groups.iter().filter(|group| is_a(group, SERIES)).collect();
    if stored.is_empty() {
        return Err(format!("its PoseEstimation {} has no series", quote(group)));
    }
    let is_prefixed = stored
        .iter()
        .all(|group| group.name().len() > SERIES.len() && group.name().starts_with(SERIES));
    let mut series: Vec<Series> = Vec::new();
    for group in stored {
        let own = group.name();
        let own = if is_prefixed { &own[SERIES.len()..] } else { own };
        // DLC2NWB names a series `ANIMAL_PART`.
        let part = nodes
            .iter()
            .filter(|_| !nodes.iter().any(|node| node == own))
            .find(|node| own.strip_suffix(node.as_str()).is_some_and(|rest| rest.ends_with('_')))
            .map_or(own, String::as_str);
        if series.iter().any(|known| known.part == part) {
            return Err(format!("its PoseEstimation {} has {} twice", quote(&name), quote(part)));
        }
        series.push(read_series(file, group, part)?);
    }
    let is_like_dlc = LIKE_DLC.iter().any(|name| software.contains(name));
    let (video, pictures) = (video.filter(|video| !video.is_empty()), pictures(file, pose));
    Ok(Animal { name, video, pictures, series, is_like_dlc })
}

/// Returns the size of an animal's recording in both orders: ndx-pose specifies width and height,
/// and programs have written height and width.
fn pictures(file: &File, pose: &Group) -> Vec<[u32; 2]> {
    let Some((elements, numbers)) =
        pose.dataset("dimensions").ok().and_then(|dataset| self::numbers(file, &dataset).ok())
    else {
        return Vec::new();
    };
    let side = |index: usize| side(numbers.read(elements.get(index)?, 0)?);
    match (elements.iter().len(), side(0), side(1)) {
        (2, Some(a), Some(b)) => vec![[a, b], [b, a]],
        _ => Vec::new(),
    }
}

fn numbers(file: &File, dataset: &Dataset) -> Result<(Elements, Numbers), String> {
    let elements = Elements::read(file, dataset)?;
    let numbers = elements.numbers().filter(|numbers| numbers.count() == 1);
    let name = dataset.name().escape_debug();
    let numbers = numbers.ok_or_else(|| format!("its data set '{name}' holds no numbers"))?;
    Ok((elements, numbers))
}

/// Returns `true` if a unit, in lower case, is a unit of length.
fn is_length(unit: &str) -> bool {
    ["m", "cm", "mm", "um"].contains(&unit)
        || ["meter", "metre", "inch"].iter().any(|known| unit.contains(known))
}

fn read_series(file: &File, group: &Group, part: &str) -> Result<Series, String> {
    let at = |what: &str| format!("its series {} {what}", quote(part));
    let dataset = group.dataset("data").map_err(broken)?;
    let unit = dataset.attribute("unit").ok().and_then(|unit| unit.read_string().ok());
    let unit = unit.unwrap_or_default().to_lowercase();
    if is_length(&unit) {
        return Err(at(&format!(
            "is in {}, not in pixels: give the track in pixels",
            quote(&unit)
        )));
    }
    let (data, data_numbers) = numbers(file, &dataset)?;
    let columns = match data.shape() {
        [_, 2] => 2,
        [_, 3] => {
            return Err(at(
                "has three coordinates: positions in space are not pixels; give the 2D track of this camera",
            ));
        }
        _ => return Err(at("has no pairs of numbers")),
    };
    let rows = data.iter().len() / columns;
    file.take(rows.saturating_mul(SAMPLE_BYTES))?;
    let confidence = match group.dataset("confidence") {
        Ok(dataset) => Some(numbers(file, &dataset)?),
        Err(_) => None,
    };
    let tick = |seconds: f64| {
        let ticks = (seconds * TICKS_PER_SECOND).round();
        (ticks.abs() < 9e15)
            .then_some(ticks as i64)
            .ok_or_else(|| at("has times that are not finite numbers within range"))
    };
    let ticks = match group.dataset("timestamps") {
        Ok(dataset) => {
            let (stamps, stamp_numbers) = numbers(file, &dataset)?;
            let stamps = stamps
                .iter()
                .map(|element| tick(stamp_numbers.read(element, 0).unwrap_or(f64::NAN)));
            stamps.collect::<Result<Vec<i64>, String>>()?
        }
        Err(_) => {
            let starting_time = group
                .dataset("starting_time")
                .map_err(|_| at("has neither time stamps nor a rate"))?;
            let rate =
                starting_time.attribute("rate").ok().and_then(|rate| rate.read_as_f64().ok());
            let rate = rate.filter(|rate| *rate > 0.0).ok_or_else(|| at("has no rate"))?;
            let (start, start_number) = numbers(file, &starting_time)?;
            let start = start.get(0).and_then(|element| start_number.read(element, 0));
            let start = start.unwrap_or(0.0);
            (0..rows).map(|row| tick(start + row as f64 / rate)).collect::<Result<_, _>>()?
        }
    };
    if ticks.len() != rows {
        return Err(at(&format!("has {} times for {rows} samples", ticks.len())));
    }
    let sample = |row: usize| {
        let value =
            |column: usize| Some(data_numbers.read(data.get(row * columns + column)?, 0)? as f32);
        let likelihood = confidence
            .as_ref()
            .and_then(|(elements, numbers)| Some(numbers.read(elements.get(row)?, 0)? as f32));
        [value(0), value(1), likelihood]
    };
    let samples = (0..rows).map(sample).collect();
    Ok(Series { part: part.to_owned(), ticks, samples })
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_are_not_pixels() {
        for (unit, is_length) in [
            ("pixels", false),
            ("pixel", false),
            ("px", false),
            ("", false),
            ("meters", true),
            ("mm", true),
        ] {
            assert_eq!(super::is_length(unit), is_length, "{unit}");
        }
    }
}
