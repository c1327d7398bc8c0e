//! SLEAP's own files: `.slp`, and `.pkg.slp` with the images in it.
//!
//! HDF5 with tables of records: `frames` name a video, a frame and a range of `instances`; an instance names its track and a range of
//! `points` (placed by a person) or `pred_points` (predicted). Skeletons are JSON in an attribute of the group `metadata`, tracks and
//! videos are JSON texts in `tracks_json` and `videos_json`. The layout is that of `sleap_io/io/slp.py`, which lists its versions.
//!
//! Where a person has corrected a frame, SLEAP keeps the predictions beside the corrections but no longer shows them; they are left
//! out here too (`LabeledFrame.unused_predictions`). Suggested frames hold nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hdf5_reader::Hdf5File;
use serde::Deserialize;

use super::hdf5_file::{Elements, Numbers, broken, texts};
use super::table::{
    RowKey, Rows, Sightings, Table, check_density, keypoint, push_new, quote, selected,
};
use super::track::{Individual, Keypoint, KeypointSelection, TrackNotice};

/// The name of instances without a track where others have one.
const UNTRACKED: &str = "untracked";
/// Files before this version count coordinates from a pixel's corner, later ones from its centre.
const CENTRED: f64 = 1.1;
/// Half a pixel.
const HALF: f64 = 0.5;

pub(super) fn recognise(file: &Hdf5File) -> bool {
    ["/frames", "/instances", "/points", "/pred_points"]
        .iter()
        .all(|name| file.dataset(name).is_ok())
}

/// The part of the metadata that is needed.
#[derive(Deserialize)]
struct Metadata {
    skeletons: Vec<StoredSkeleton>,
    nodes: Vec<NamedNode>,
}

#[derive(Deserialize)]
struct NamedNode {
    name: String,
}

/// A skeleton; since SLEAP 1.3.2 it can be one level down.
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

/// A video of the file. A list of images is a video too.
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
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum FileNames {
    One(String),
    Several(Vec<String>),
}

/// What a row of a video is.
enum VideoRows {
    /// Frames by number, of a video of this name if it has one.
    Frames(Option<String>),
    /// Images by name.
    Images(Vec<String>),
}

pub(super) fn read(file: &Hdf5File, selection: &KeypointSelection) -> Result<Table, String> {
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
        let (key, name) = match videos.get(frame.video) {
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
        for instance in frame.instances {
            // Each once, so that ranges that overlap cannot multiply them.
            if instance >= store.instances.len() || !listed.insert(instance) {
                return Err("its data set 'frames' is damaged".into());
            }
            by_row.entry(row).or_default().push(instance);
        }
    }

    let mut animals: BTreeMap<Option<usize>, Animal> = BTreeMap::new();
    let mut left_out = 0;
    // Every point belongs to one instance, so that ranges that overlap cannot multiply them.
    let mut points_left =
        store.placed.elements.iter().len() + store.predicted.elements.iter().len();
    for (row, instances) in by_row {
        let (shown, hidden) = store.shown(&instances)?;
        left_out += hidden;
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

    // Tracks in the order of the file, what has none last.
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
        // SLEAP does not mind two tracks of one name.
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
    if file.dataset("/video_crops").is_ok_and(|crops| crops.shape().iter().all(|&n| n > 0)) {
        table.notices.push(TrackNotice::Warning(
            "its videos are cropped in SLEAP: coordinates may count from the crop's corner (--keypoints-offset X,Y)".into(),
        ));
    }
    table.bodyparts = bodyparts;
    Ok(table)
}

/// One track's instances: row, skeleton and the points of its nodes.
#[derive(Default)]
struct Animal {
    sightings: Vec<(usize, usize, Vec<Option<Keypoint>>)>,
}

impl Animal {
    /// Its selected body parts, those of every skeleton that it has, and where they were seen.
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
        // Of each skeleton, the node of each body part.
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

fn twice(key: Option<&RowKey>, track: Option<usize>, tracks: &[String]) -> String {
    let at = match key {
        Some(RowKey::Frame(frame)) => format!("frame {frame}"),
        Some(RowKey::Image(name)) => format!("image {}", quote(name)),
        None => "a frame".to_owned(),
    };
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

/// The names of each skeleton's nodes.
fn skeletons(json: &str) -> Result<Vec<Vec<String>>, String> {
    let metadata: Metadata = serde_json::from_str(json)
        .map_err(|error| format!("its skeletons cannot be read: {error}"))?;
    let names = |graph: &Graph| -> Option<Vec<String>> {
        graph.nodes.iter().map(|node| Some(metadata.nodes.get(node.id)?.name.clone())).collect()
    };
    let skeleton = |stored: &StoredSkeleton| {
        let (StoredSkeleton::Plain(graph) | StoredSkeleton::Described { nx_graph: graph }) = stored;
        let names = names(graph).ok_or("its skeletons name nodes that there are not")?;
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(name) => Err(format!("its skeleton has the node {} twice", quote(name))),
            None => Ok(names),
        }
    };
    metadata.skeletons.iter().map(skeleton).collect()
}

/// The name of each track: JSON `[frame it was made on, name]`.
fn track_names(file: &Hdf5File) -> Result<Vec<String>, String> {
    let Ok(dataset) = file.dataset("/tracks_json") else { return Ok(Vec::new()) };
    let name = |text: String| {
        serde_json::from_str::<(serde::de::IgnoredAny, String)>(&text)
            .map(|(_, name)| name)
            .map_err(|error| format!("the name of a track cannot be read: {error}"))
    };
    texts(&dataset)?.into_iter().map(name).collect()
}

fn videos(file: &Hdf5File) -> Result<Vec<VideoRows>, String> {
    let Ok(dataset) = file.dataset("/videos_json") else { return Ok(Vec::new()) };
    let video = |text: String| {
        let stored: StoredVideo = serde_json::from_str(&text)
            .map_err(|error| format!("what it says of its videos cannot be read: {error}"))?;
        Ok(rows_of(file, stored))
    };
    texts(&dataset)?.into_iter().map(video).collect()
}

fn rows_of(file: &Hdf5File, stored: StoredVideo) -> VideoRows {
    let backend = stored.backend.unwrap_or_default();
    let own = backend.filenames.map(FileNames::Several).or(backend.filename).or(stored.filename);
    match own {
        Some(FileNames::Several(names)) => VideoRows::Images(names),
        // The images are in the file itself; it says what video they are of.
        Some(FileNames::One(name)) if name == "." => {
            let source = stored.source_video.map(|video| *video);
            let source = source.or_else(|| source_video(file, &backend.dataset?));
            match source {
                // A source that is itself in a file has no name that helps.
                Some(source) => match source.backend.and_then(|backend| backend.filename) {
                    Some(FileNames::One(name)) if name != "." => VideoRows::Frames(Some(name)),
                    Some(FileNames::Several(names)) => VideoRows::Images(names),
                    _ => VideoRows::Frames(None),
                },
                None => VideoRows::Frames(None),
            }
        }
        Some(FileNames::One(name)) => VideoRows::Frames(Some(name)),
        None => VideoRows::Frames(None),
    }
}

/// The video that embedded images are of: JSON in an attribute beside the images.
fn source_video(file: &Hdf5File, dataset: &str) -> Option<StoredVideo> {
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

fn frames(file: &Hdf5File) -> Result<Vec<Frame>, String> {
    let elements = open(file, "/frames")?;
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

fn open(file: &Hdf5File, name: &str) -> Result<Elements, String> {
    Elements::read(&file.dataset(name).map_err(broken)?)
}

fn damaged(dataset: &str) -> String {
    format!("its data set '{dataset}' is damaged")
}

/// The fields of a table's records.
fn fields<const N: usize>(
    elements: &Elements,
    dataset: &str,
    names: [&str; N],
) -> Result<[Numbers; N], String> {
    let found: Option<Vec<Numbers>> = names.iter().map(|name| elements.field(name)).collect();
    found.and_then(|found| found.try_into().ok()).ok_or_else(|| damaged(dataset))
}

/// Positions and counts.
fn whole_numbers<const N: usize>(
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
struct Instance {
    is_predicted: bool,
    track: Option<usize>,
    skeleton: usize,
    /// The prediction that a person has corrected.
    from: Option<usize>,
    start: usize,
    end: usize,
}

struct Instances {
    elements: Elements,
    counts: [Numbers; 4],
    references: [Numbers; 2],
}

impl Instances {
    fn open(file: &Hdf5File) -> Result<Self, String> {
        let elements = open(file, "/instances")?;
        let counts = ["instance_type", "skeleton", "point_id_start", "point_id_end"];
        let counts = fields(&elements, "instances", counts)?;
        let references = fields(&elements, "instances", ["track", "from_predicted"])?;
        Ok(Self { elements, counts, references })
    }

    fn len(&self) -> usize {
        self.elements.iter().len()
    }

    fn get(&self, index: usize) -> Result<Instance, String> {
        let record = self.elements.get(index).ok_or_else(|| damaged("instances"))?;
        let [kind, skeleton, start, end] = whole_numbers(record, &self.counts, "instances")?;
        // -1 stands for none.
        let [track, from] = self.references.map(|column| {
            let value = column.read(record, 0)?;
            (0.0..1e15).contains(&value).then_some(value as usize)
        });
        Ok(Instance { is_predicted: kind == 1, track, skeleton, from, start, end })
    }
}

/// A table of points.
struct Points {
    elements: Elements,
    xy: [Numbers; 2],
    visible: Option<Numbers>,
    score: Option<Numbers>,
}

impl Points {
    fn open(file: &Hdf5File, name: &str) -> Result<Self, String> {
        let elements = open(file, name)?;
        let xy = fields(&elements, name.trim_start_matches('/'), ["x", "y"])?;
        let (visible, score) = (elements.field("visible"), elements.field("score"));
        Ok(Self { elements, xy, visible, score })
    }
}

struct Store {
    instances: Instances,
    placed: Points,
    predicted: Points,
    /// Taken from coordinates.
    shift: f64,
}

impl Store {
    /// The instances of a frame that SLEAP shows, and how many it does not: predictions that a person has corrected.
    fn shown(&self, instances: &[usize]) -> Result<(Vec<usize>, usize), String> {
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
        Ok((shown, hidden))
    }

    /// Where the nodes of an instance were seen.
    fn points(
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
