//! A web server on loopback that misbehaves on request.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The response to a request. Each request takes the next one; the last one is for all further
/// requests.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The file, from the requested position.
    File,
    /// The whole file, whatever part was requested.
    Whole,
    /// Headers for the whole file, but only this many bytes; then the connection closes.
    Cut(usize),
    /// The whole file, without its length.
    NoLength,
    /// A status line and nothing else.
    Status(&'static str),
    /// A different part than the one requested.
    WrongPart,
    /// The connection closes at once.
    Nothing,
}

/// A request as it arrived: the path, and the first byte requested.
pub type Request = (String, Option<usize>);

pub struct Server {
    pub base: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves `file` under every path until the test ends.
    pub fn start(file: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = answers[number.min(answers.len() - 1)].clone();
                // A client that disconnects is not an error of the server.
                let _ = serve(stream.unwrap(), &file, &answer, &seen);
            }
        });
        Self { base, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    file: &[u8],
    answer: &Answer,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut from = None;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let lower = line.to_lowercase();
        if let Some(range) = lower.strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse().ok();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    seen.lock().unwrap().push((path, from));
    let length = file.len();
    let close = "Connection: close\r\n\r\n";
    match answer {
        Answer::Nothing => return Ok(()),
        Answer::Status(status) => write!(stream, "HTTP/1.1 {status}\r\n{close}")?,
        Answer::NoLength => {
            write!(stream, "HTTP/1.1 200 OK\r\n{close}")?;
            stream.write_all(file)?;
        }
        Answer::WrongPart => {
            let body = &file[length / 2..];
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{}/{length}\r\nContent-Length: {}\r\n{close}",
                length / 2,
                length - 1,
                body.len()
            )?;
            stream.write_all(body)?;
        }
        Answer::File | Answer::Cut(_) if from.is_some_and(|from| from >= length) => {
            write!(
                stream,
                "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{length}\r\n{close}"
            )?;
        }
        Answer::File | Answer::Whole | Answer::Cut(_) => {
            let from = if matches!(answer, Answer::Whole) { None } else { from };
            let body = &file[from.unwrap_or(0)..];
            match from {
                Some(from) => write!(
                    stream,
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{length}\r\n",
                    length - 1
                )?,
                None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
            }
            write!(stream, "Content-Length: {}\r\n{close}", body.len())?;
            let sent = if let Answer::Cut(bytes) = answer { *bytes } else { body.len() };
            stream.write_all(&body[..sent.min(body.len())])?;
        }
    }
    stream.flush()
}
