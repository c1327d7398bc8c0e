//! A separate folder for each test, the binary run inside it, and checks of what it leaves behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;
use tiff::decoder::{Decoder, DecodingResult};

/// A point on the mouse in the first frame of [`Workshop::mouse`].
pub const ON_THE_MOUSE: &str = "0:122,40";

/// Returns the path of a file of the repository's assets.
pub fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name).canonicalize().unwrap()
}

/// Returns the same path as text, for command lines.
pub fn asset_text(name: &str) -> String {
    asset(name).to_str().unwrap().to_owned()
}

/// A temporary folder in which the programs run, so that command lines and messages contain bare
/// file names.
pub struct Workshop {
    folder: TempDir,
}

/// The result of a run.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Workshop {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Temporary files of the binary go here, where they are noticed.
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder }
    }

    /// Makes a folder with these files, in the form returned by [`Workshop::snapshot`].
    #[cfg(feature = "faults")]
    pub fn with(files: &BTreeMap<PathBuf, Option<Vec<u8>>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            match contents {
                Some(bytes) => std::fs::write(folder.path().join(path), bytes).unwrap(),
                None => std::fs::create_dir_all(folder.path().join(path)).unwrap(),
            }
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        std::fs::create_dir_all(self.path(name)).unwrap();
        self.path(name)
    }

    /// Returns the number of bytes of a run file or journal after its header; 0 if it does not
    /// exist.
    pub fn frame_bytes(&self, name: &str) -> u64 {
        let bytes = std::fs::read(self.path(name)).unwrap_or_default();
        let Some(head) = bytes.get(9..17) else { return 0 };
        let head = 21 + u64::from_le_bytes(head.try_into().unwrap());
        (bytes.len() as u64).saturating_sub(head)
    }

    /// Makes `name` from the first fraction `share` of the bytes of `source`.
    pub fn truncate(&self, source: impl AsRef<Path>, share: f64, name: &str) {
        let bytes = std::fs::read(self.folder.path().join(source)).unwrap();
        self.write(name, &bytes[..(bytes.len() as f64 * share) as usize]);
    }

    /// Returns every file and folder with its contents; folders have no contents.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                // A running program may rename a file in the meantime.
                let contents = (!path.is_dir()).then(|| std::fs::read(&path).unwrap_or_default());
                if contents.is_none() {
                    folders.push(path.clone());
                }
                found.insert(path.strip_prefix(self.folder.path()).unwrap().to_owned(), contents);
            }
        }
        found
    }

    /// Returns the names of every file and folder.
    pub fn names(&self) -> Vec<String> {
        self.snapshot().into_keys().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// Runs `ffmpeg` in this folder with these arguments, split at blanks.
    pub fn ffmpeg(&self, arguments: &str) -> &Self {
        let status = Command::new("ffmpeg")
            .args(["-y", "-hide_banner", "-loglevel", "error", "-threads", "1"])
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .status()
            .expect("the tests need the ffmpeg program");
        assert!(status.success(), "ffmpeg {arguments}");
        self
    }

    /// Makes `name` from the first frames of a bundled clip, with these further arguments.
    pub fn cut(&self, clip: &str, frames: usize, arguments: &str, name: &str) -> &Self {
        let clip = asset_text(&format!("clips/{clip}.mp4"));
        self.ffmpeg(&format!("-i {clip} -frames:v {frames} {arguments} {name}"))
    }

    /// Makes a lossless video of the first frames of `mouse-arena` at half size (192x144).
    pub fn mouse(&self, frames: usize, name: &str) -> &Self {
        // Most tests need one of a few such videos, so each is made only once.
        static MADE: Mutex<BTreeMap<usize, Vec<u8>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap();
        let bytes = made.entry(frames).or_insert_with(|| {
            self.cut("mouse-arena", frames, "-vf scale=192:144 -c:v ffv1 -g 1", name);
            self.read(name)
        });
        self.write(name, bytes);
        self
    }

    /// Writes rows of the track of `mouse-arena` from `first` on, scaled for [`Workshop::mouse`]
    /// and numbered from 0.
    pub fn mouse_track(&self, first: usize, rows: usize, name: &str) -> &Self {
        self.write(name, scaled_track(first, rows, 0.5));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sam2"));
        self.prepare(command.args(arguments));
        command
    }

    /// Sets the folder and the environment in which every program runs.
    pub fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // Settings of this machine's user are removed, but the tests may choose the kernels.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("SAM2_") && text != "SAM2_CPU_TIER" || text.starts_with("SLURM_") {
                command.env_remove(&name);
            }
        }
        command
            .env("XDG_CONFIG_HOME", self.path("tmp"))
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env_remove("RUST_BACKTRACE")
            // A build with Vulkan finds no driver: these tests are for the CPU, and drivers write
            // to stderr and into the cache folder.
            .env("VK_ICD_FILENAMES", self.path("tmp/no-driver.json"))
            // Nothing that this machine's user has downloaded is found.
            .env("XDG_CACHE_HOME", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
    }

    /// Runs `sam2` as on a disk with room only for files of `kilobytes`.
    pub fn sam2_with_room(&self, kilobytes: usize, arguments: &[&str]) -> Outcome {
        self.with_room(2 * kilobytes, arguments).output().unwrap().into()
    }

    /// Starts `sam2` as on a disk with room only for files of so many blocks of 512 bytes.
    pub fn start_with_room(&self, blocks: usize, arguments: &[&str]) -> Running {
        Running { child: Some(self.with_room(blocks, arguments).spawn().unwrap()) }
    }

    fn with_room(&self, blocks: usize, arguments: &[&str]) -> Command {
        // `sh` counts in blocks of 512 bytes. With the signal ignored, writing more fails as on a
        // full disk.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_sam2")]).args(arguments);
        self.prepare(&mut shell);
        shell
    }

    /// Runs `sam2` with this much memory for its data and this many seconds of processor time.
    pub fn sam2_within(&self, megabytes: usize, seconds: usize, arguments: &[&str]) -> Outcome {
        let limits = format!("ulimit -d {}; ulimit -t {seconds}", megabytes << 10);
        let mut shell = Command::new("bash");
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_sam2")]).args(arguments);
        self.prepare(&mut shell).output().unwrap().into()
    }

    /// Runs a bash script in which `SAM2` stands for the program.
    pub fn shell(&self, script: &str) -> Outcome {
        let script = script.replace("SAM2", &format!("'{}'", env!("CARGO_BIN_EXE_sam2")));
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]);
        self.prepare(&mut shell).output().unwrap().into()
    }

    pub fn sam2_with_one_thread(&self, arguments: &[&str]) -> Outcome {
        self.command(arguments).env("RAYON_NUM_THREADS", "1").output().unwrap().into()
    }

    /// Runs `sam2` with these variables set.
    pub fn sam2_where(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        self.command(arguments).envs(variables.iter().copied()).output().unwrap().into()
    }

    /// Runs `sam2` in a terminal made by util-linux's `script`; everything that it shows is in
    /// `stdout`.
    pub fn sam2_on_a_terminal(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let line = format!("{} {}", env!("CARGO_BIN_EXE_sam2"), arguments.join(" "));
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]);
        let script = self.prepare(&mut script).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        script.envs(variables.iter().copied()).output().unwrap().into()
    }

    /// Runs `sam2` without the cache folder that [`Workshop::sam2`] sets.
    pub fn sam2_with(&self, variables: &[(&str, &String)], arguments: &[&str]) -> Outcome {
        let mut command = self.command(arguments);
        command.env_remove("XDG_CACHE_HOME").envs(variables.iter().copied());
        command.output().unwrap().into()
    }

    pub fn sam2(&self, arguments: &[&str]) -> Outcome {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs `sam2 segment RECORDING -o masks.btf ...` and expects exit code 0.
    pub fn segment(&self, recording: &str, arguments: &[&str]) -> Outcome {
        self.segment_to("masks.btf", recording, arguments)
    }

    /// Does the same with the name of the output.
    pub fn segment_to(&self, output: &str, recording: &str, arguments: &[&str]) -> Outcome {
        self.sam2(&[&["segment", recording, "-o", output], arguments].concat()).succeeded()
    }

    /// Reads the stack that [`Workshop::segment`] writes.
    pub fn masks(&self) -> Stack {
        self.stack("masks.btf")
    }

    pub fn stack(&self, name: &str) -> Stack {
        Stack::read(&self.path(name))
    }

    /// Does [`Workshop::refused`] for `sam2 segment RECORDING -o masks.btf ...` with exit code 1.
    pub fn refuses(&self, recording: &str, arguments: &[&str], told: &[&str]) -> Outcome {
        let all = [&["segment", recording, "-o", "masks.btf"], arguments].concat();
        self.refused(1, &all, told)
    }

    /// Expects `sam2` to refuse: this exit code, one error line that contains every part of `told`,
    /// no panic, and nothing in the folder added, changed or removed.
    pub fn refused(&self, code: i32, arguments: &[&str], told: &[&str]) -> Outcome {
        self.fails(code, told, || self.sam2(arguments))
    }

    /// Checks the same for any way of running it.
    pub fn fails(&self, code: i32, told: &[&str], run: impl FnOnce() -> Outcome) -> Outcome {
        let before = self.snapshot();
        let outcome = run();
        outcome.did_not_panic();
        assert_eq!(outcome.code, Some(code), "exit code; {}", outcome.stderr);
        let message = outcome.error();
        for part in told {
            assert!(message.contains(part), "'{part}' is missing in: {message}");
        }
        if code != 2 {
            let last = outcome.stderr.lines().last().unwrap_or_default();
            assert_eq!(last, message, "the message is one line, the last one:\n{}", outcome.stderr);
        }
        let printable = message.chars().all(|c| !c.is_control());
        assert!(printable, "the message is plain text: {message:?}");
        assert!(message.len() < 1000, "the message is short: {message}");
        let after = self.snapshot();
        let differing: Vec<&PathBuf> = before
            .keys()
            .chain(after.keys())
            .filter(|name| before.get(*name) != after.get(*name))
            .collect();
        assert!(differing.is_empty(), "files added, changed or gone: {differing:?}");
        outcome
    }

    /// Starts `sam2` without waiting.
    pub fn start_bare(&self, arguments: &[&str]) -> Running {
        Running { child: Some(self.command(arguments).spawn().unwrap()) }
    }

    /// Starts `sam2 segment RECORDING -o masks.btf ...` and waits until it writes, because from
    /// then on it catches signals.
    pub fn start(&self, recording: &str, arguments: &[&str]) -> Running {
        let all = [&["segment", recording, "-o", "masks.btf"], arguments].concat();
        let child = self.command(&all).spawn().unwrap();
        let mut running = Running { child: Some(child) };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !self.names().iter().any(|name| name.ends_with(".part")) {
            assert!(running.is_alive(), "it ended before it wrote anything");
            assert!(std::time::Instant::now() < deadline, "it does not begin to write");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        running
    }
}

/// A process that does not outlive its test.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Returns how much of the process is in memory.
    pub fn resident_megabytes(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024
    }

    /// Returns the next line that the process prints.
    pub fn line(&mut self) -> String {
        let output = self.child.as_mut().unwrap().stdout.as_mut().unwrap();
        let (mut line, mut byte) = (Vec::new(), [0]);
        while std::io::Read::read(output, &mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Waits until a condition holds or the process has ended.
    pub fn wait_until(&mut self, is_so: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while self.is_alive() && !is_so() {
            assert!(std::time::Instant::now() < deadline, "it takes too long");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Sends a signal by name (`INT`) and waits for the process to end.
    pub fn stop(mut self, signal: &str) -> Outcome {
        let id = self.child.as_ref().unwrap().id();
        let kill = format!("kill -{signal} {id}");
        // It may have ended by itself.
        if self.is_alive() {
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        }
        self.wait()
    }

    /// Waits for the process to end.
    pub fn wait(mut self) -> Outcome {
        self.child.take().unwrap().wait_with_output().unwrap().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl From<std::process::Output> for Outcome {
    fn from(output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Outcome {
    pub fn succeeded(self) -> Self {
        self.ended(0)
    }

    /// Expects an exit code other than that of an error.
    pub fn ended(self, code: i32) -> Self {
        self.did_not_panic();
        assert_eq!(self.code, Some(code), "exit code; {}", self.stderr);
        assert!(!self.stderr.lines().any(|line| line.starts_with("error:")), "{}", self.stderr);
        self
    }

    /// Expects an error with this exit code.
    pub fn failed(self, code: i32) -> Self {
        self.did_not_panic();
        assert_eq!(self.code, Some(code), "exit code; {}", self.stderr);
        self.error();
        self
    }

    /// Returns the error line; there must be exactly one.
    pub fn error(&self) -> &str {
        let errors: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "one line starts with 'error:' in:\n{}", self.stderr);
        errors[0]
    }

    pub fn did_not_panic(&self) {
        for text in ["panicked", "RUST_BACKTRACE"] {
            assert!(!self.stderr.contains(text), "{}", self.stderr);
        }
    }

    /// Expects a warning that contains all of `parts`.
    pub fn warns(&self, parts: &[&str]) -> &Self {
        let mut warnings = self.stderr.lines().filter(|line| line.contains("WARN"));
        let found = warnings.any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no warning holds {parts:?}:\n{}", self.stderr);
        self
    }

    /// Returns the prompted frames, batch by batch.
    pub fn prompted(&self) -> Vec<usize> {
        self.stderr
            .lines()
            .filter_map(|line| line.split_once("prompted on "))
            .flat_map(|(_, frames)| frames.split(','))
            .map(|frame| frame.trim().parse().unwrap())
            .collect()
    }
}

/// A stack of masks as stored in the file.
pub struct Stack {
    pub width: u32,
    pub height: u32,
    pub pages: Vec<Vec<u8>>,
}

impl Stack {
    /// Reads a BigTIFF stack of 8-bit pages of one size.
    pub fn read(path: &Path) -> Self {
        let start = std::fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(&start[..8], b"II\x2b\0\x08\0\0\0", "{path:?} is no BigTIFF");
        let mut decoder = Decoder::new(BufReader::new(File::open(path).unwrap())).unwrap();
        let (width, height) = decoder.dimensions().unwrap();
        let mut pages = Vec::new();
        loop {
            assert_eq!(decoder.dimensions().unwrap(), (width, height), "pages of one size");
            match decoder.read_image().unwrap() {
                DecodingResult::U8(page) => pages.push(page),
                other => panic!("not 8-bit: {other:?}"),
            }
            if !decoder.more_images() {
                break;
            }
            decoder.next_image().unwrap();
        }
        let pixels = width as usize * height as usize;
        assert!(pages.iter().all(|page| page.len() == pixels), "one sample a pixel");
        Self { width, height, pages }
    }

    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Returns the number of foreground pixels of each page.
    pub fn areas(&self) -> Vec<usize> {
        self.pages.iter().map(|page| page.iter().filter(|&&pixel| pixel != 0).count()).collect()
    }

    /// Returns the values that occur, sorted.
    pub fn values(&self) -> Vec<u8> {
        let mut seen = [false; 256];
        self.pages.iter().flatten().for_each(|&pixel| seen[usize::from(pixel)] = true);
        (0..=255).filter(|&value| seen[usize::from(value)]).collect()
    }
}

/// Returns rows of the track of `mouse-arena` from `first` on, with coordinates multiplied by
/// `scale`, numbered from 0.
pub fn scaled_track(first: usize, rows: usize, scale: f64) -> String {
    let text = std::fs::read_to_string(asset("clips/mouse-arenaDLC_synthetic_micro.csv")).unwrap();
    let mut lines = text.lines();
    let mut track: String = lines.by_ref().take(3).map(|line| format!("{line}\n")).collect();
    for (number, line) in lines.skip(first).take(rows).enumerate() {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        cells[0] = number.to_string();
        for (column, cell) in cells.iter_mut().enumerate().skip(1) {
            if column % 3 != 0 {
                *cell = (cell.parse::<f64>().unwrap() * scale).to_string();
            }
        }
        track.push_str(&cells.join(","));
        track.push('\n');
    }
    track
}

/// Returns a DeepLabCut track of these body parts, with each row as
/// `x,y,likelihood,x,y,likelihood,...`.
pub fn track(bodyparts: &[&str], rows: &[&str]) -> String {
    let header = |name: &str, cells: String| format!("{name}{cells}\n");
    let triples = |part: &dyn Fn(&str) -> String| bodyparts.iter().map(|name| part(name)).collect();
    let mut text = header("scorer", triples(&|_| ",net,net,net".into()));
    text.push_str(&header("bodyparts", triples(&|name| format!(",{name},{name},{name}"))));
    text.push_str(&header("coords", triples(&|_| ",x,y,likelihood".into())));
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&format!("{number},{row}\n"));
    }
    text
}

/// Returns the number of frames that the `ffmpeg` program decodes from start to end.
pub fn decodable_frames(video: &Path) -> usize {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "quiet", "-threads", "1", "-i"])
        .arg(video)
        .args(["-map", "0:v:0", "-vsync", "passthrough", "-f", "framehash", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("the tests need the ffmpeg program");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

/// Returns the number of frames that the container claims; `None` if it claims none.
pub fn claimed_frames(video: &Path) -> Option<usize> {
    probe(video, "stream=nb_frames").first().and_then(|line| line.trim().parse().ok())
}

/// Returns position and size of each packet of a video file.
pub fn packets(video: &Path) -> Vec<(usize, usize)> {
    probe(video, "packet=size,pos")
        .iter()
        .map(|line| {
            let (size, position) = line.trim_end_matches(',').split_once(',').unwrap();
            (position.parse().unwrap(), size.parse().unwrap())
        })
        .collect()
}

fn probe(video: &Path, entries: &str) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries", entries])
        .arg(video)
        .stdin(Stdio::null())
        .output()
        .expect("the tests need the ffprobe program");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}
