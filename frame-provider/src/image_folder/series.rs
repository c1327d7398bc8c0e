//! Checks by their names whether the images of a folder are one clip: finds several series, odd
//! files and missing numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::gaps::{self, Numbers};
use super::go_pro::GoPro;
use super::names::{Kind, Minus, Name, Names, Number};
use super::natural_order;
use crate::error::FrameError;

/// Number of series and files listed in a message.
const SHOWN: usize = 4;

/// The images in the order of the frames, and warnings about their names.
#[derive(Debug)]
pub(super) struct Clip {
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<String>,
}

/// How to treat a folder whose names do not form one clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Several {
    /// It causes an error that names the patterns.
    Refused,
    /// All images are frames, since the user asked for all; a warning says so.
    Joined,
}

/// Orders the images and checks that they are one clip. `folder` is used in messages and patterns.
pub(super) fn clip_of(
    folder: &Path,
    mut files: Vec<PathBuf>,
    several: Several,
) -> Result<Clip, FrameError> {
    files.sort_by(|a, b| super::compare_names(a, b));
    let stems: Vec<String> = files.iter().map(|file| stem_of(file)).collect();
    let Names { names, minus, hyphens, is_folded, by_value, guesses, doubt } = Names::parse(&stems);
    let mut order: Vec<usize> = (0..files.len()).collect();
    if by_value {
        order.sort_by(|&a, &b| {
            let natural = || natural_order::compare(&stems[a], &stems[b]);
            names[a].compare(&names[b]).then_with(natural)
        });
    }
    let folder_of_names = Folder {
        path: folder,
        files: order.iter().map(|&at| files[at].clone()).collect(),
        stems: order.iter().map(|&at| stems[at].clone()).collect(),
        names: order.iter().map(|&at| names[at].clone()).collect(),
        is_folded,
        doubt,
    };
    let about = |text: String| format!("{}: {text}", folder.display());
    let mut warnings: Vec<String> = guesses.into_iter().map(about).collect();
    if let Some(minus) = minus {
        warnings.extend(folder_of_names.sign_warning(minus));
    } else if hyphens && files.len() > 1 {
        tracing::info!(
            "{}: the hyphen in {} separates; it is not taken as a minus sign",
            folder.display(),
            super::name_of(&files[0])
        );
    }
    match folder_of_names.verdict() {
        Verdict::Clip(more) => warnings.extend(more),
        Verdict::NotOne(what) if several == Several::Joined => warnings.push(format!(
            "{}: {}; all of them are frames, in the order of their names, since the pattern asks for all",
            folder.display(),
            what.found
        )),
        Verdict::NotOne(what) => {
            let what = format!("{}; {}", what.found, what.remedy);
            return Err(FrameError::Unsupported { path: folder.to_owned(), what });
        }
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(Clip { files: folder_of_names.files, warnings })
}

struct Folder<'a> {
    path: &'a Path,
    /// The files, in the order of the frames.
    files: Vec<PathBuf>,
    stems: Vec<String>,
    names: Vec<Name>,
    /// True if names differ in letter case, which is ignored.
    is_folded: bool,
    /// Why dates do not give the order, if they do not.
    doubt: Option<String>,
}

enum Verdict {
    /// One clip, with warnings.
    Clip(Vec<String>),
    NotOne(Found),
}

/// Reason why the images are not one clip, and the remedy.
struct Found {
    found: String,
    remedy: String,
}

impl Folder<'_> {
    fn verdict(&self) -> Verdict {
        let stems: HashSet<&str> = self.stems.iter().map(String::as_str).collect();
        if stems.len() < self.stems.len() {
            return Verdict::NotOne(self.same_stems(stems.len()));
        }
        let all: Vec<usize> = (0..self.files.len()).collect();
        let counter = self.counter(&all);
        let counts = |counter: &Vec<usize>| self.names[0].numbers[counter[0]].kind == Kind::Count;
        if let Some(doubt) = self.doubt.clone().filter(|_| !counter.as_ref().is_some_and(counts)) {
            return Verdict::NotOne(self.doubtful(doubt));
        }
        if let Some(counter) = counter {
            return Verdict::Clip(self.counted(&counter));
        }
        let groups = self.groups();
        let mut series: Vec<&Vec<usize>> = groups.iter().filter(|group| group.len() > 1).collect();
        series.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let covered: usize = series.iter().map(|group| group.len()).sum();
        // Names without numbers that give an order, such as snapshots, are a clip in the order of
        // their names.
        if covered * 2 <= self.files.len() {
            tracing::info!(
                "{}: the names have no running number; the frames are in the order of the names, from {} to {}",
                self.path.display(),
                self.file_name(0),
                self.file_name(self.files.len().saturating_sub(1)),
            );
            return Verdict::Clip(Vec::new());
        }
        match series.as_slice() {
            // Only `frame1` next to `frame01` gets here: otherwise the numbers of one series rise.
            [only] if only.len() == self.files.len() => Verdict::Clip(vec![format!(
                "{}: some names have the same number, written with and without leading zeros; each image counts as a frame",
                self.path.display()
            )]),
            [only] => Verdict::NotOne(self.odd_files(only)),
            several => Verdict::NotOne(self.several(several, self.files.len() - covered)),
        }
    }

    fn file_name(&self, at: usize) -> String {
        self.files.get(at).map(|file| super::name_of(file)).unwrap_or_default()
    }

    /// Returns the position of the number, counted from the front or from the back of the names,
    /// that rises from each of these names to the next.
    fn counter(&self, members: &[usize]) -> Option<Vec<usize>> {
        let most = members.iter().map(|&member| self.names[member].numbers.len()).max()?;
        let same_shape = members.windows(2).all(|pair| {
            self.names[pair[0]].texts.len() == self.names[pair[1]].texts.len()
                && self.names[pair[0]].texts == self.names[pair[1]].texts
        });
        let places = |place: &dyn Fn(&Name) -> Option<usize>| -> Option<Vec<usize>> {
            let at: Vec<usize> =
                members.iter().map(|&member| place(&self.names[member])).collect::<Option<_>>()?;
            let values: Vec<i128> = members
                .iter()
                .zip(&at)
                .map(|(&member, &at)| self.names[member].numbers.get(at).map(|n| n.value))
                .collect::<Option<_>>()?;
            let rises = values.windows(2).all(|pair| pair[0] < pair[1]);
            (rises && self.prefixes_are_shared(members, &at)).then_some(at)
        };
        let fields = if same_shape { 0..most } else { 0..most.min(1) };
        let rising: Vec<Vec<usize>> = fields
            .filter_map(|field| places(&|_| Some(field)))
            .chain(places(&|name| name.numbers.len().checked_sub(1)))
            .collect();
        // Of several rising numbers, prefer one that counts over one that is a time.
        let counts = |at: &&Vec<usize>| !self.names[members[0]].numbers[at[0]].is_stamp();
        rising.iter().find(counts).or(rising.first()).cloned()
    }

    /// Returns true if each prefix before the number occurs in more than one name. A picture of the
    /// background, for example, has a prefix of its own.
    fn prefixes_are_shared(&self, members: &[usize], at: &[usize]) -> bool {
        let mut prefixes: HashMap<&[String], usize> = HashMap::new();
        for (&member, &at) in members.iter().zip(at) {
            *prefixes.entry(&self.names[member].texts[..=at]).or_default() += 1;
        }
        prefixes.len() == 1 || prefixes.values().all(|&count| count > 1)
    }

    /// Returns warnings about a clip with numbered names.
    fn counted(&self, counter: &[usize]) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut prefixes: BTreeMap<String, usize> = BTreeMap::new();
        for (at, &field) in counter.iter().enumerate() {
            let start = self.names[at].numbers[field].place.start;
            let has_stamp = self.names[at].numbers[..field].iter().any(Number::is_stamp);
            let prefix = if has_stamp { "" } else { &self.stems[at][..start] };
            let prefix = if self.is_folded { prefix.to_lowercase() } else { prefix.to_owned() };
            *prefixes.entry(prefix).or_default() += 1;
        }
        if prefixes.len() > 1 && prefixes.len() * 2 <= self.files.len() {
            let kinds: Vec<String> = prefixes
                .iter()
                .take(SHOWN)
                .map(|(prefix, count)| format!("{prefix}*: {count}"))
                .collect();
            warnings.push(format!(
                "{}: the names have {} beginnings ({}) whose numbers go on from one to the next, so all images are one clip; \
                 if they are not, pick one with a pattern in quotes, such as '{}'",
                self.path.display(),
                prefixes.len(),
                listed(kinds, prefixes.len()),
                self.path
                    .join(prefixes.keys().next().map(|prefix| format!("{prefix}*")).unwrap_or_default())
                    .display(),
            ));
        }
        let numbers: Vec<_> =
            counter.iter().zip(&self.names).map(|(&field, name)| &name.numbers[field]).collect();
        if numbers.iter().all(|number| !number.is_stamp()) {
            let values: Vec<i128> = numbers.iter().map(|number| number.value).collect();
            let decimals = numbers.iter().map(|number| number.decimals).max().unwrap_or(0);
            let go_pro = GoPro::find(&self.stems, &values);
            let breaks = go_pro.as_ref().map_or(&[][..], |go_pro| &go_pro.starts);
            warnings
                .extend(go_pro.as_ref().and_then(|go_pro| self.go_pro_warning(go_pro, &values)));
            let warning = gaps::warning(&Numbers { values: &values, decimals, breaks });
            warnings.extend(warning.map(|text| format!("{}: {text}", self.path.display())));
        }
        warnings
    }

    /// Returns a warning that lists which groups of GoPro pictures are taken as one clip, unless
    /// every group except the last is full.
    fn go_pro_warning(&self, go_pro: &GoPro, values: &[i128]) -> Option<String> {
        let groups = go_pro.groups(values);
        let is_full = |&(_, _, last): &(i128, usize, i128)| GoPro::LAST.contains(&last);
        let full = groups.split_last().is_none_or(|(_, others)| others.iter().all(is_full));
        let ending = self.files.first()?.extension()?.to_string_lossy().into_owned();
        let letter = self.stems.first()?.get(..1)?;
        let shown = groups.iter().take(SHOWN);
        let kinds = shown.map(|(group, count, _)| format!("{letter}{group:03}*.{ending}: {count}"));
        let kinds = listed(kinds.collect(), groups.len());
        let pattern = self.quoted(&format!("{letter}{:03}*.{ending}", groups.first()?.0));
        (!full).then(|| {
            format!(
                "{}: {} groups of GoPro's pictures ({kinds}) are read as one clip, in this order; if they are several recordings, \
                 pick one with a pattern in quotes, such as {pattern}",
                self.path.display(),
                groups.len()
            )
        })
    }

    /// Returns the groups of images that belong together: the same texts, and the same numbers
    /// except for the one that varies most.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut shapes: BTreeMap<&[String], Vec<usize>> = BTreeMap::new();
        for (at, name) in self.names.iter().enumerate() {
            shapes.entry(&name.texts).or_default().push(at);
        }
        let mut groups = Vec::new();
        for members in shapes.into_values() {
            let fields = self.names[members[0]].numbers.len();
            if fields == 0 || self.counter(&members).is_some() {
                groups.push(members);
                continue;
            }
            let distinct = |field: usize| {
                let values = members.iter().map(|&at| self.names[at].numbers[field].value);
                values.collect::<BTreeSet<_>>().len()
            };
            let running = (0..fields).max_by_key(|&field| (distinct(field), field)).unwrap_or(0);
            let mut keys: BTreeMap<Vec<i128>, Vec<usize>> = BTreeMap::new();
            for &at in &members {
                let mut key: Vec<i128> =
                    self.names[at].numbers.iter().map(|number| number.value).collect();
                key.remove(running);
                keys.entry(key).or_default().push(at);
            }
            groups.extend(keys.into_values());
        }
        groups
    }

    fn sign_warning(&self, minus: Minus) -> Option<String> {
        let is_negative = |name: &&Name| name.numbers.iter().any(|number| number.value < 0);
        let negative = self.names.iter().filter(is_negative).count();
        let why = match minus {
            Minus::Compared => "the same name also comes without one",
            Minus::Evident => "they stand where nothing is to be separated",
        };
        (negative > 0).then(|| {
            format!(
                "{}: minus signs in the names count, since {why}: {negative} negative numbers, and the frames run from {} to {}",
                self.path.display(),
                self.file_name(0),
                self.file_name(self.files.len().saturating_sub(1)),
            )
        })
    }

    /// Reports dates that can be read in two ways.
    fn doubtful(&self, found: String) -> Found {
        let all = self.quoted("*");
        let remedy = format!(
            "rename the files with the year first (2023-01-31), or take them in the order of their names as they are written with {all}"
        );
        Found { found, remedy }
    }

    /// Reports pairs such as `0001.jpg` and `0001.png`.
    fn same_stems(&self, distinct: usize) -> Found {
        let mut endings: BTreeMap<String, usize> = BTreeMap::new();
        for file in &self.files {
            let ending = file.extension().unwrap_or_default().to_string_lossy().into_owned();
            *endings.entry(ending).or_default() += 1;
        }
        let kinds = endings.iter().map(|(ending, count)| format!("{count} .{ending}"));
        let patterns = endings.keys().map(|ending| self.quoted(&format!("*.{ending}")));
        Found {
            found: format!(
                "{} of its {} images have the name of another one but for the ending ({}), so it is more than one clip",
                self.files.len() - distinct,
                self.files.len(),
                kinds.collect::<Vec<_>>().join(", ")
            ),
            remedy: format!(
                "pick one kind with a pattern in quotes: {}",
                patterns.collect::<Vec<_>>().join(" or ")
            ),
        }
    }

    /// Reports one series with further files that do not belong to it.
    fn odd_files(&self, series: &[usize]) -> Found {
        let odd: Vec<usize> = (0..self.files.len()).filter(|at| !series.contains(at)).collect();
        let names: Vec<String> = odd.iter().take(SHOWN).map(|&at| self.file_name(at)).collect();
        Found {
            found: format!(
                "holds a series of {} images ({}) and {} that are not of it ({})",
                series.len(),
                self.span(series),
                odd.len(),
                listed(names, odd.len())
            ),
            remedy: self.remedy(&[series]),
        }
    }

    fn several(&self, series: &[&Vec<usize>], odd: usize) -> Found {
        let each: Vec<String> = series
            .iter()
            .take(SHOWN)
            .map(|group| format!("{} images {}", group.len(), self.span(group)))
            .collect();
        let more = if odd > 0 {
            format!(" and {odd} images that belong to none of them")
        } else {
            String::new()
        };
        Found {
            found: format!(
                "holds {} series of images by their names ({}){more}, not one clip",
                series.len(),
                listed(each, series.len())
            ),
            remedy: self.remedy(&series.iter().map(|group| group.as_slice()).collect::<Vec<_>>()),
        }
    }

    fn remedy(&self, series: &[&[usize]]) -> String {
        let patterns: Vec<String> = series
            .iter()
            .take(SHOWN)
            .filter_map(|group| self.pattern(group))
            .map(|pattern| self.quoted(&pattern))
            .collect();
        let all = self.quoted("*");
        if patterns.is_empty() {
            format!(
                "put each series into a folder of its own, or take all images as one clip with {all}"
            )
        } else {
            format!(
                "pick one with a pattern in quotes: {}; or take all images as one clip with {all}",
                patterns.join(" or ")
            )
        }
    }

    fn quoted(&self, pattern: &str) -> String {
        format!("'{}'", self.path.join(pattern).display())
    }

    fn span(&self, group: &[usize]) -> String {
        match group {
            [first, .., last] => format!("{} to {}", self.file_name(*first), self.file_name(*last)),
            _ => group.iter().map(|&at| self.file_name(at)).collect(),
        }
    }

    /// Returns a pattern that matches these files and none of the others.
    fn pattern(&self, group: &[usize]) -> Option<String> {
        let first = *group.first()?;
        let name = &self.names[first];
        let distinct = |field: usize| {
            let values = group.iter().map(|&at| self.names[at].numbers[field].value);
            values.collect::<BTreeSet<_>>().len()
        };
        let field = (0..name.numbers.len()).max_by_key(|&field| (distinct(field), field))?;
        let place = name.numbers[field].place.clone();
        let ending = self.files[first].extension()?.to_string_lossy().into_owned();
        let before = glob::Pattern::escape(&self.stems[first][..place.start]);
        let after = glob::Pattern::escape(&self.stems[first][place.end..]);
        let members: HashSet<usize> = group.iter().copied().collect();
        let digits = "[0-9]".repeat(place.len());
        let candidates = [
            format!("{before}*{after}.{ending}"),
            format!("{before}*[0-9]{after}.{ending}"),
            format!("{before}[0-9]*{after}.{ending}"),
            format!("{before}{digits}{after}.{ending}"),
        ];
        candidates.into_iter().find(|candidate| {
            glob::Pattern::new(candidate).is_ok_and(|pattern| {
                (0..self.files.len())
                    .all(|at| pattern.matches(&self.file_name(at)) == members.contains(&at))
            })
        })
    }
}

/// Returns a list for a message; a long list is shortened.
fn listed(mut shown: Vec<String>, count: usize) -> String {
    if count > shown.len() {
        shown.push(format!("{} more", count - shown.len()));
    }
    shown.join(", ")
}

fn stem_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
