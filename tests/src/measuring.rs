//! What the measuring programs share: seeds as typed, work on several threads, tables in documents.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::repository_file;

/// Number of clips that are tracked at the same time.
const WORKERS: usize = 2;

/// Reads a range of seeds, `FROM..TO`.
///
/// # Panics
/// If it is none.
pub fn range(text: &str) -> Range<u64> {
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

/// Returns the results of `work` on each item, in the order in which they are ready.
pub fn on_workers<T: Copy + Sync, R: Send>(todo: &[T], work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(&item) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(item);
                    done.lock().unwrap().push(result);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// Replaces the table that `program` made in a document by a new one.
///
/// # Panics
/// If the document has no place for it.
pub fn put_table(document: &str, program: &str, table: &str) {
    let (mark, end) = (format!("<!-- table: {program} --write -->"), "<!-- end of table -->");
    let path = repository_file(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&mark).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    std::fs::write(&path, format!("{before}{mark}\n{table}{end}{after}")).unwrap();
    println!("written to {}", path.display());
}
