//! SLEAP's own files: `.slp`, and `.pkg.slp` with the images in them.
//!
//! They are HDF5 with tables of records. `frames` name a video, a frame and a range of `instances`.
//! An instance names its track and a range of `points` (placed by a person) or `pred_points`
//! (predicted). Skeletons are JSON in an attribute of the group `metadata`. Tracks and videos are
//! JSON texts in `tracks_json` and `videos_json`. The layout is that of `sleap_io/io/slp.py`, which
//! lists its versions.
//!
//! If a person has corrected a frame, SLEAP keeps the predictions next to the corrections but no
//! longer shows them. They are left out here too (`LabeledFrame.unused_predictions`). With one
//! animal and no tracks, the person's instance counts even if nothing links it to the prediction.
//! Suggested frames are empty.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::hdf5_file::{File, broken, texts};
use super::keypoint::{Individual, Keypoint};
use super::notice::TrackNotice;
use super::quoting::quote;
use super::selection::KeypointSelection;
use super::sleap_store::{
    Instance, Instances, Points, Shown, Store, damaged, fields, open, whole_numbers,
};
use super::table::{RowKey, Rows, Sightings, Table, check_density, push_new, selected, side};

/// The name of instances without a track, if others have one.
const UNTRACKED: &str = "untracked";
/// Files before this version count coordinates from a pixel's corner, later files from its centre.
const CENTRED: f64 = 1.1;
/// Half a pixel.
const HALF: f64 = 0.5;

pub(super) fn recognise(file: &File) -> bool {
    ["/frames", "/instances", "/points", "/pred_points"]
        .iter()
        .all(|name| file.dataset(name).is_ok())
}

/// The required part of the metadata.
#[derive(Deserialize)]
struct Metadata {
    skeletons: Vec<StoredSkeleton>,
    nodes: Vec<NamedNode>,
}

#[derive(Deserialize)]
struct NamedNode {
    name: String,
}

/// A skeleton. Since SLEAP 1.3.2 it can be one level deeper.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredSkeleton {
    Described { nx_graph: Graph },
    Plain(Graph),
}

#[derive(Deserialize)]
struct Graph {
    nodes: Vec<NodeNumber>,
}

#[derive(Deserialize)]
struct NodeNumber {
    id: usize,
}

/// A video of the file. A list of images also counts as a video.
#[derive(Deserialize)]
struct StoredVideo {
    #[serde(default)]
    filename: Option<FileNames>,
    #[serde(default)]
    backend: Option<Backend>,
    #[serde(default)]
    source_video: Option<Box<StoredVideo>>,
}

#[derive(Default, Deserialize)]
struct Backend {
    #[serde(default)]
    filename: Option<FileNames>,
    #[serde(default)]
    filenames: Option<Vec<String>>,
    #[serde(default)]
    dataset: Option<String>,
    /// Frames, height, width, channels.
    #[serde(default)]
    shape: Option<Vec<Option<f64>>>,
    /// Present in files of old versions.
    #[serde(default, rename = "width_")]
    width: Option<f64>,
    #[serde(default, rename = "height_")]
    height: Option<f64>,
}

impl Backend {
    /// Returns width and height of the frames.
    fn picture(&self) -> Option<[u32; 2]> {
        let (width, height) = match self.shape.as_deref() {
            Some(&[_, height, width, _]) => (width, height),
            _ => (self.width, self.height),
        };
        Some([side(width?)?, side(height?)?])
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum FileNames {
    One(String),
    Several(Vec<String>),
}

/// A video of the file.
struct Video {
    rows: VideoRows,
    /// Width and height of its frames.
    picture: Option<[u32; 2]>,
}

/// The meaning of a video's rows.
enum VideoRows {
    /// Frames by number, of a video of this name, if it has one.
    Frames(Option<String>),
    /// Images by name.
    Images(Vec<String>),
}

pub(super) fn read(file: &File, selection: &KeypointSelection) -> Result<Table, String> {
    let group = file.group("/metadata").map_err(broken)?;
    let json = group.attribute("json").and_then(|json| json.read_string()).map_err(broken)?;
    let version = group.attribute("format_id").ok().and_then(|id| id.read_as_f64().ok());
    let skeletons = skeletons(&json)?;
    let tracks = track_names(file)?;
    let videos = videos(file)?;
    let store = Store {
        instances: Instances::open(file)?,
        placed: Points::open(file, "/points")?,
        predicted: Points::open(file, "/pred_points")?,
        shift: if version.is_some_and(|version| version < CENTRED) { HALF } else { 0.0 },
    };
    let mut bodyparts = Vec::new();
    skeletons.iter().flatten().for_each(|name| push_new(&mut bodyparts, name));

    let mut rows = Rows::default();
    let mut by_row: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut known_videos: HashMap<usize, Option<usize>> = HashMap::new();
    let mut listed = HashSet::new();
    for frame in frames(file)? {
        let video = videos.get(frame.video);
        let picture = video.and_then(|video| video.picture);
        let (key, name) = match video.map(|video| &video.rows) {
            Some(VideoRows::Images(images)) => {
                let image = images.get(frame.index).ok_or_else(|| {
                    format!("it has labels on image {} of {}", frame.index, images.len())
                })?;
                (RowKey::Image(image.clone()), None)
            }
            Some(VideoRows::Frames(name)) => (RowKey::Frame(frame.index), name.as_deref()),
            None => (RowKey::Frame(frame.index), None),
        };
        let video =
            *known_videos.entry(frame.video).or_insert_with(|| name.map(|name| rows.video(name)));
        let row = rows.place(key, video)?;
        rows.set_picture(row, picture);
        for instance in frame.instances {
            // Each instance counts once, so that overlapping ranges cannot multiply them.
            if instance >= store.instances.len() || !listed.insert(instance) {
                return Err("its data set 'frames' is damaged".into());
            }
            by_row.entry(row).or_default().push(instance);
        }
    }

    let mut animals: BTreeMap<Option<usize>, Animal> = BTreeMap::new();
    let (mut left_out, mut unlinked) = (0, Vec::new());
    // Every point belongs to one instance, so that overlapping ranges cannot multiply them.
    let mut points_left =
        store.placed.elements.iter().len() + store.predicted.elements.iter().len();
    for (row, instances) in by_row {
        let Shown { instances: shown, hidden, is_guess } = store.shown(&instances)?;
        left_out += hidden;
        if is_guess {
            unlinked.push(row);
        }
        let mut seen = HashSet::new();
        for instance in shown {
            let Instance { track, skeleton, .. } = store.instances.get(instance)?;
            if !seen.insert(track) {
                return Err(twice(rows.iter().nth(row).map(|row| &row.key), track, &tracks));
            }
            let nodes = skeletons.get(skeleton).ok_or("its data set 'instances' is damaged")?;
            let left = points_left.checked_sub(nodes.len());
            points_left = left.ok_or_else(|| damaged("instances"))?;
            let points = store.points(instance, nodes.len(), selection)?;
            animals.entry(track).or_default().sightings.push((row, skeleton, points));
        }
    }

    // Tracks in the order of the file. Instances without a track come last.
    let untracked = animals.remove(&None);
    let alone = animals.is_empty();
    let mut table = Table { rows, ..Table::default() };
    let tracked = animals.into_iter().map(|(track, animal)| {
        let name = track.and_then(|track| tracks.get(track).cloned()).unwrap_or_default();
        (Some(name), animal)
    });
    let mut names = HashSet::new();
    let untracked = untracked.map(|animal| ((!alone).then(|| UNTRACKED.to_owned()), animal));
    for (name, animal) in tracked.chain(untracked) {
        // SLEAP allows two tracks of one name.
        let name = name.map(|name| {
            let free = (1..).map(|n| if n == 1 { name.clone() } else { format!("{name} ({n})") });
            free.into_iter().find(|name| names.insert(name.clone())).unwrap_or(name)
        });
        let (parts, sightings) = animal.finish(&skeletons, selection)?;
        table.individuals.push(Individual { name, bodyparts: parts });
        table.sightings.push(sightings);
    }
    if table.individuals.is_empty() {
        return Err(
            "it holds no labels (suggested frames are not labels): predict or label in SLEAP first"
                .into(),
        );
    }
    if left_out > 0 {
        table.notices.push(TrackNotice::Info(format!(
            "{left_out} predicted instances are left out where a person has corrected the frame, as in SLEAP"
        )));
    }
    if let Some(first) = unlinked.first() {
        let at = place_name(table.rows.iter().nth(*first).map(|row| &row.key));
        table.notices.push(TrackNotice::Warning(format!(
            "{} frames (the first: {at}) have an instance that a person has placed and a prediction that nothing links to it: the person's is \
             taken, as SLEAP does with one animal; if they are two, give them tracks in SLEAP",
            unlinked.len()
        )));
    }
    if file.dataset("/video_crops").is_ok_and(|crops| crops.shape().iter().all(|&n| n > 0)) {
        table.notices.push(TrackNotice::Warning(
            "its videos are cropped in SLEAP: coordinates may count from the crop's corner (--keypoints-offset X,Y)".into(),
        ));
    }
    table.bodyparts = bodyparts;
    Ok(table)
}

/// The instances of one track: row, skeleton and the points of its nodes.
#[derive(Default)]
struct Animal {
    sightings: Vec<(usize, usize, Vec<Option<Keypoint>>)>,
}

impl Animal {
    /// Returns the track's selected body parts, from every skeleton that it has, and where they
    /// were seen.
    fn finish(
        self,
        skeletons: &[Vec<String>],
        selection: &KeypointSelection,
    ) -> Result<(Vec<String>, Sightings), String> {
        let used: BTreeSet<usize> =
            self.sightings.iter().map(|(_, skeleton, _)| *skeleton).collect();
        let mut all = Vec::new();
        for &skeleton in &used {
            skeletons[skeleton].iter().for_each(|name| push_new(&mut all, name));
        }
        let parts = selected(&all, selection);
        let points = self.sightings.iter().map(|(_, _, points)| points.len()).sum();
        check_density(self.sightings.len(), parts.len(), points)?;
        // The node of each body part, for each skeleton.
        let places: HashMap<usize, Vec<Option<usize>>> = used
            .iter()
            .map(|&skeleton| {
                let node = |part: &String| skeletons[skeleton].iter().position(|name| name == part);
                (skeleton, parts.iter().map(node).collect())
            })
            .collect();
        let mut sightings = Sightings::default();
        let mut seen = Vec::new();
        for (row, skeleton, points) in self.sightings {
            seen.clear();
            let nodes = places.get(&skeleton).map_or(&[][..], Vec::as_slice);
            seen.extend(nodes.iter().map(|node| node.and_then(|node| points.get(node).copied()?)));
            sightings.note(row, &seen);
        }
        Ok((parts, sightings))
    }
}

/// Describes a row in a message.
fn place_name(key: Option<&RowKey>) -> String {
    match key {
        Some(RowKey::Frame(frame)) => format!("frame {frame}"),
        Some(RowKey::Image(name)) => format!("image {}", quote(name)),
        None => "a frame".to_owned(),
    }
}

fn twice(key: Option<&RowKey>, track: Option<usize>, tracks: &[String]) -> String {
    let at = place_name(key);
    match track {
        Some(track) => {
            let name = tracks.get(track).map_or("", String::as_str);
            format!("{at} has track {} twice: correct it in SLEAP", quote(name))
        }
        None => format!(
            "{at} has several instances without a track, so that nothing says which animal is which: give them tracks in SLEAP (tracking, or Tracks > Set Instance Track)"
        ),
    }
}

/// Reads the names of each skeleton's nodes.
fn skeletons(json: &str) -> Result<Vec<Vec<String>>, String> {
    let metadata: Metadata = serde_json::from_str(json)
        .map_err(|error| format!("its skeletons cannot be read: {error}"))?;
    let names = |graph: &Graph| -> Option<Vec<String>> {
        graph.nodes.iter().map(|node| Some(metadata.nodes.get(node.id)?.name.clone())).collect()
    };
    let skeleton = |stored: &StoredSkeleton| {
        let (StoredSkeleton::Plain(graph) | StoredSkeleton::Described { nx_graph: graph }) = stored;
        let names = names(graph).ok_or("its skeletons name nodes that do not exist")?;
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(name) => Err(format!("its skeleton has the node {} twice", quote(name))),
            None => Ok(names),
        }
    };
    metadata.skeletons.iter().map(skeleton).collect()
}

/// A track: JSON `[frame it was made on, name]`, or the same as an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredTrack {
    Listed(IgnoredAny, String),
    Named { name: String },
}

/// Reads the name of each track.
fn track_names(file: &File) -> Result<Vec<String>, String> {
    let Ok(dataset) = file.dataset("/tracks_json") else { return Ok(Vec::new()) };
    let name = |text: String| match serde_json::from_str(&text) {
        Ok(StoredTrack::Listed(_, name) | StoredTrack::Named { name }) => Ok(name),
        Err(error) => Err(format!("the name of a track cannot be read: {error}")),
    };
    texts(file, &dataset)?.into_iter().map(name).collect()
}

fn videos(file: &File) -> Result<Vec<Video>, String> {
    let Ok(dataset) = file.dataset("/videos_json") else { return Ok(Vec::new()) };
    let read = |text: String| {
        let stored: StoredVideo = serde_json::from_str(&text)
            .map_err(|error| format!("what it says of its videos cannot be read: {error}"))?;
        Ok(video(file, stored))
    };
    texts(file, &dataset)?.into_iter().map(read).collect()
}

fn video(file: &File, stored: StoredVideo) -> Video {
    let backend = stored.backend.unwrap_or_default();
    let picture = backend.picture();
    let own = backend.filenames.map(FileNames::Several).or(backend.filename).or(stored.filename);
    let (rows, picture) = match own {
        Some(FileNames::Several(names)) => (VideoRows::Images(names), picture),
        // The images are in the file itself, which says from which video they are.
        Some(FileNames::One(name)) if name == "." => {
            let source = stored.source_video.map(|video| *video);
            let source = source.or_else(|| source_video(file, &backend.dataset?));
            let source = source.and_then(|source| source.backend).unwrap_or_default();
            let picture = source.picture();
            // A source that is itself embedded in a file has no useful name.
            let rows = match source.filename {
                Some(FileNames::One(name)) if name != "." => VideoRows::Frames(Some(name)),
                Some(FileNames::Several(names)) => VideoRows::Images(names),
                _ => VideoRows::Frames(None),
            };
            (rows, picture)
        }
        Some(FileNames::One(name)) => (VideoRows::Frames(Some(name)), picture),
        None => (VideoRows::Frames(None), picture),
    };
    Video { rows, picture }
}

/// Finds the video from which embedded images were taken: JSON in an attribute next to the images.
fn source_video(file: &File, dataset: &str) -> Option<StoredVideo> {
    let group = dataset.strip_suffix("/video").unwrap_or(dataset);
    let group = file.group(&format!("/{}/source_video", group.trim_start_matches('/'))).ok()?;
    let json = group.attribute("json").ok()?.read_string().ok()?;
    serde_json::from_str(&json).ok()
}

/// A labelled frame.
struct Frame {
    video: usize,
    index: usize,
    instances: std::ops::Range<usize>,
}

fn frames(file: &File) -> Result<Vec<Frame>, String> {
    let elements = open(file, "/frames")?;
    file.take_rows(elements.iter().len())?;
    let columns = ["video", "frame_idx", "instance_id_start", "instance_id_end"];
    let columns = fields(&elements, "frames", columns)?;
    elements
        .iter()
        .map(|record| {
            let [video, index, start, end] = whole_numbers(record, &columns, "frames")?;
            Ok(Frame { video, index, instances: start..end.max(start) })
        })
        .collect()
}
