//! [`in_order`]: several threads work, and nobody sees it from the result.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Items that are worked on before their results are taken, for each thread.
const AHEAD: usize = 4;

/// Does `work` for each item on several threads, and gives the results to `take` in the order of the
/// items, with how many there were before. Only so many results are held as a few items have for
/// each thread.
pub(super) fn in_order<T: Sync, R: Send, E>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(u64, R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let mut done = 0;
    for batch in items.chunks(threads * AHEAD) {
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<R>>> = batch.iter().map(|_| Mutex::new(None)).collect();
        std::thread::scope(|scope| {
            for _ in 0..threads.min(batch.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(item), Some(result)) = (batch.get(at), results.get(at)) else {
                            return;
                        };
                        let made = work(item);
                        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
                    }
                });
            }
        });
        for result in results {
            // A thread that panicked has ended the scope by now.
            if let Some(made) = result.into_inner().unwrap_or_else(PoisonError::into_inner) {
                take(done, made)?;
                done += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn results_come_in_order_and_an_error_ends_it() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [0, 1, 3] {
            let mut seen = Vec::new();
            in_order::<_, _, ()>(
                threads,
                &items,
                |item| item * 2,
                |done, made| {
                    assert_eq!(done * 2, made);
                    seen.push(made);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(seen.len(), 100);
        }
        let ended =
            in_order(2, &items, |item| *item, |_, made| if made == 9 { Err(made) } else { Ok(()) });
        assert_eq!(ended, Err(9));
    }
}
