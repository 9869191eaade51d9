//! What the fuzzer does with its bytes; a test of the runtime does the same with its corpus (`tests/fuzz.rs`).

use latent_runtime::gallery::{Gallery, GalleryView, Neighbor, Storage, Vote, bytes_for};

/// How far the bytes got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// They are no gallery.
    Refused,
    /// They are a gallery, which has been searched and changed.
    Used,
}

/// Reads the bytes as a gallery, its magic, version and checksum put right, and does with it all that one can.
pub fn check(data: &[u8]) -> Reached {
    // As it is.
    if let Ok(view) = GalleryView::from_bytes(data) {
        search(&view);
    }
    let mut bytes = data.to_vec();
    if let Some(header) = bytes.first_chunk_mut::<16>() {
        header[..8].copy_from_slice(b"\x89LGA\r\n\x1a\n");
        header[8..12].copy_from_slice(&1u32.to_le_bytes());
        header[12..].copy_from_slice(&crc32fast::hash(&data[16..]).to_le_bytes());
    }
    if let Ok(gallery) = Gallery::open(&mut bytes.clone()) {
        search(&gallery.view());
    }
    let Ok(view) = GalleryView::from_bytes(&bytes) else { return Reached::Refused };
    search(&view);
    change(&bytes, view.dimension(), view.storage());
    Reached::Used
}

/// Every question that a view answers, with queries that are embeddings and others that are not.
fn search(view: &GalleryView<'_>) {
    let (len, dimension) = (view.len(), view.dimension());
    assert_eq!(view.labels().count(), len);
    assert_eq!(view.labels().next(), view.label(0));
    assert_eq!(view.label(len), None);
    assert_eq!(view.is_empty(), len == 0);
    let first = view.labels().next().unwrap_or(7);
    assert_eq!(view.count(first) > 0, len > 0);
    for value in [0.0, 1.0, -1e-30, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN] {
        let query: Vec<f32> =
            (0..dimension).map(|at| if at % 3 == 0 { value } else { 0.25 * value }).collect();
        for room in [0, 1, 5] {
            let mut neighbors = vec![Neighbor::default(); room];
            let Ok(found) = view.nearest(&query, &mut neighbors) else { continue };
            assert_eq!(found.len(), room.min(len));
            assert!(found.iter().all(|near| view.label(near.index) == Some(near.label)));
            // To the rounding of the shortest vectors that are accepted.
            assert!(found.iter().all(|near| near.similarity.abs() <= 1.02), "{found:?}");
            assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity), "{found:?}");
            for temperature in [0.07, 1e-38, f32::MAX, 0.0, -1.0, f32::NAN] {
                let mut votes = [Vote::default(); 2];
                let Ok(votes) = view.classify(&query, temperature, &mut neighbors, &mut votes) else {
                    continue;
                };
                let shares: f32 = votes.iter().map(|vote| vote.share).sum();
                assert!((0.0..=1.001).contains(&shares), "{votes:?}");
            }
        }
    }
    assert!(view.nearest(&vec![1.0; dimension + 1], &mut []).is_err());
}

/// Goes on with a gallery that has room for one more.
fn change(bytes: &[u8], dimension: usize, storage: Storage) {
    let one_more = bytes_for(dimension, storage, 1) - bytes_for(dimension, storage, 0);
    let mut memory = bytes.to_vec();
    memory.resize(bytes.len() + one_more, 0xA5);
    let mut gallery = Gallery::open(&mut memory).expect("a gallery with room behind it");
    assert_eq!(gallery.capacity(), gallery.len() + 1);
    assert_eq!(gallery.bytes(), bytes, "opened and closed");
    assert!(gallery.add(&vec![f32::NAN; dimension], 1).is_err());
    let index = gallery.add(&vec![-2.0; dimension], 42).expect("there is room for one more");
    assert!(gallery.add(&vec![1.0; dimension], 1).is_err(), "there was room for one");
    assert_eq!(gallery.view().label(index), Some(42));
    search(&GalleryView::from_bytes(gallery.bytes()).expect("what a gallery gives, it takes"));
    assert_eq!(gallery.remove(index + 1), None);
    if let Some(label) = gallery.remove(0) {
        gallery.remove_label(label);
        assert_eq!(gallery.view().count(label), 0);
    }
    search(&GalleryView::from_bytes(gallery.bytes()).expect("what a gallery gives, it takes"));
    gallery.clear();
    search(&gallery.view());
}
