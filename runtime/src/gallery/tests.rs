use std::vec;
use std::vec::Vec;

use super::*;
use crate::rng::Rng;

/// Random embeddings: `classes` directions, each with noise around it. Embedding and label.
fn clusters(seed: u64, dimension: usize, classes: u32, count: usize, noise: f32) -> Vec<(Vec<f32>, u32)> {
    let mut rng = Rng::from_seed(seed);
    let centers: Vec<Vec<f32>> =
        (0..classes).map(|_| (0..dimension).map(|_| rng.normal()).collect()).collect();
    (0..count)
        .map(|_| {
            let label = rng.below(classes);
            let length = rng.uniform(0.1, 10.0);
            let center = &centers[label as usize];
            (center.iter().map(|x| length * (x + noise * rng.normal())).collect(), label)
        })
        .collect()
}

fn filled<'a>(memory: &'a mut [u8], storage: Storage, examples: &[(Vec<f32>, u32)]) -> Gallery<'a> {
    let mut gallery = Gallery::new(memory, examples[0].0.len(), storage).unwrap();
    for (index, (embedding, label)) in examples.iter().enumerate() {
        assert_eq!(gallery.add(embedding, *label), Ok(index));
    }
    gallery
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    dot(a, b) / libm::sqrt(dot(a, a) * dot(b, b))
}

/// Against sorting all cosines in f64. The bounds: rounding of f32 sums; half a step of 127 for each value of a vector.
#[test]
fn the_nearest_are_those_with_the_largest_cosine() {
    for (storage, bound) in [(Storage::F32, 1e-6), (Storage::I8, 0.01)] {
        for dimension in [1, 3, 8, 64, 97] {
            let examples = clusters(1, dimension, 5, 200, 1.0);
            let mut memory = vec![0; bytes_for(dimension, storage, 200)];
            let gallery = filled(&mut memory, storage, &examples);
            for (query, _) in clusters(2, dimension, 5, 20, 1.0) {
                let cosines: Vec<f64> = examples.iter().map(|(e, _)| cosine(e, &query)).collect();
                let mut sorted = cosines.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                for k in [0, 1, 7, 200, 250] {
                    let mut room = vec![Neighbor::default(); k];
                    let found = gallery.nearest(&query, &mut room).unwrap();
                    assert_eq!(found.len(), k.min(200));
                    for (place, neighbor) in found.iter().enumerate() {
                        let said = f64::from(neighbor.similarity);
                        let what = std::format!("{storage:?}, {dimension} values, place {place} of {k}");
                        assert!((said - cosines[neighbor.index]).abs() < bound, "{what}");
                        assert!((said - sorted[place]).abs() < 2.0 * bound, "{what}");
                        assert_eq!(neighbor.label, examples[neighbor.index].1);
                    }
                    let ordered = |pair: &[Neighbor]| {
                        pair[0].similarity > pair[1].similarity
                            || (pair[0].similarity == pair[1].similarity && pair[0].index < pair[1].index)
                    };
                    assert!(found.windows(2).all(ordered));
                }
            }
        }
    }
}

/// Against the definition: the sum of exp(similarity / temperature) of each label, in f64.
#[test]
fn votes_are_weighted_by_similarity() {
    let examples = clusters(3, 16, 4, 60, 2.0);
    let mut memory = vec![0; bytes_for(16, Storage::F32, 60)];
    let gallery = filled(&mut memory, Storage::F32, &examples);
    for temperature in [0.05, 0.5, 10.0] {
        for (query, _) in clusters(4, 16, 4, 20, 2.0) {
            let (mut neighbors, mut votes) = ([Neighbor::default(); 25], [Vote::default(); 4]);
            let found = gallery.classify(&query, temperature, &mut neighbors, &mut votes).unwrap();
            let mut expected = [0.0; 4];
            for n in &neighbors {
                expected[n.label as usize] += libm::exp(f64::from(n.similarity) / f64::from(temperature));
            }
            let total: f64 = expected.iter().sum();
            for vote in found {
                let share = expected[vote.label as usize] / total;
                assert!((f64::from(vote.share) - share).abs() < 1e-5, "{vote:?}, expected {share}");
                let nearest = neighbors.iter().find(|n| n.label == vote.label).unwrap();
                assert_eq!(vote.similarity, nearest.similarity);
            }
            assert_eq!(found.len(), expected.iter().filter(|&&sum| sum > 0.0).count());
            assert!(found.windows(2).all(|pair| pair[0].share >= pair[1].share));
            // Less room: the same labels first.
            let all = found.to_vec();
            let mut two = [Vote::default(); 2];
            let found = gallery.classify(&query, temperature, &mut neighbors, &mut two).unwrap();
            assert_eq!(found, &all[..2.min(all.len())]);
        }
    }
}

#[test]
fn a_few_examples_teach_a_class() {
    for storage in [Storage::F32, Storage::I8] {
        let mut memory = vec![0; bytes_for(32, storage, 20)];
        let gallery = filled(&mut memory, storage, &clusters(5, 32, 4, 20, 0.5));
        let (mut neighbors, mut votes) = ([Neighbor::default(); 5], [Vote::default(); 1]);
        // The centers are drawn first, so the same seed has the same ones.
        for (query, label) in clusters(5, 32, 4, 200, 0.5).split_off(20) {
            let found = gallery.classify(&query, 0.1, &mut neighbors, &mut votes).unwrap();
            assert_eq!(found[0].label, label);
        }
    }
}

#[test]
fn extreme_temperatures_and_votes_without_examples() {
    let mut memory = [0; bytes_for(2, Storage::F32, 3)];
    let mut gallery = Gallery::new(&mut memory, 2, Storage::F32).unwrap();
    let (mut neighbors, mut votes) = ([Neighbor::default(); 3], [Vote::default(); 3]);
    assert_eq!(gallery.classify(&[1.0, 0.0], 0.5, &mut neighbors, &mut votes), Ok(&[][..]));
    for (embedding, label) in [([1.0, 0.0], 1), ([0.0, 1.0], 2), ([0.1, 1.0], 2)] {
        gallery.add(&embedding, label).unwrap();
    }
    // The nearest alone decides, then the number of examples.
    for (temperature, label) in [(1e-30, 1), (1e-3, 1), (1e3, 2), (f32::MAX, 2)] {
        let found = gallery.classify(&[1.0, 0.0], temperature, &mut neighbors, &mut votes).unwrap();
        assert_eq!(found[0].label, label, "{temperature}");
        assert!(found.iter().all(|vote| vote.share.is_finite()));
    }
    for found in [0.0, -1.0, f32::INFINITY] {
        let result = gallery.classify(&[1.0, 0.0], found, &mut neighbors, &mut votes);
        assert_eq!(result, Err(GalleryError::Temperature { found }));
    }
    assert!(gallery.classify(&[1.0, 0.0], f32::NAN, &mut neighbors, &mut votes).is_err());
    assert_eq!(gallery.classify(&[1.0, 0.0], 1.0, &mut [], &mut votes), Ok(&[][..]));
    assert_eq!(gallery.classify(&[1.0, 0.0], 1.0, &mut neighbors, &mut []), Ok(&[][..]));
}

#[test]
fn examples_come_and_go() {
    let mut memory = [0; bytes_for(3, Storage::I8, 4) + 11];
    let mut gallery = Gallery::new(&mut memory, 3, Storage::I8).unwrap();
    assert_eq!((gallery.capacity(), gallery.len(), gallery.is_empty()), (4, 0, true));
    for (index, label) in [10, 20, 10, 30].into_iter().enumerate() {
        assert_eq!(gallery.add(&[1.0, label as f32, 0.0], label), Ok(index));
    }
    assert_eq!(gallery.add(&[1.0; 3], 0), Err(GalleryError::Full { capacity: 4 }));
    assert_eq!((gallery.view().count(10), gallery.view().count(99)), (2, 0));
    // The last takes the place of the one removed.
    assert_eq!(gallery.remove(0), Some(10));
    assert_eq!(gallery.view().labels().collect::<Vec<_>>(), [30, 20, 10]);
    assert_eq!((gallery.remove(3), gallery.view().label(3)), (None, None));
    assert_eq!(gallery.add(&[0.0, 0.0, 1.0], 10), Ok(3));
    assert_eq!(gallery.remove_label(10), 2);
    assert_eq!(gallery.view().labels().collect::<Vec<_>>(), [30, 20]);
    let mut room = [Neighbor::default(); 4];
    let found = gallery.nearest(&[1.0, 30.0, 0.0], &mut room).unwrap();
    assert_eq!((found.len(), found[0].label), (2, 30));
    gallery.clear();
    assert!(gallery.is_empty() && gallery.view().is_empty());
    assert_eq!(gallery.remove_label(10), 0);
}

#[test]
fn what_is_no_embedding_is_refused() {
    let mut memory = [0; bytes_for(2, Storage::F32, 3)];
    let needed = bytes_for(2, Storage::F32, 1);
    let create =
        |length: usize, dimension| Gallery::new(&mut [0; 64][..length], dimension, Storage::F32).err();
    assert_eq!(create(needed - 1, 2), Some(GalleryError::Memory { found: needed - 1, needed }));
    assert_eq!(create(0, 2), Some(GalleryError::Memory { found: 0, needed }));
    assert_eq!(create(64, 0), Some(GalleryError::Dimension { found: 0 }));
    assert_eq!(create(64, usize::MAX), Some(GalleryError::Dimension { found: usize::MAX }));
    assert_eq!(bytes_for(usize::MAX, Storage::F32, 1), usize::MAX);
    assert_eq!(bytes_for(usize::MAX, Storage::I8, usize::MAX), usize::MAX);

    let mut gallery = Gallery::new(&mut memory, 2, Storage::F32).unwrap();
    let cases: [(&[f32], GalleryError); 8] = [
        (&[1.0], GalleryError::Length { found: 1, expected: 2 }),
        (&[1.0; 3], GalleryError::Length { found: 3, expected: 2 }),
        (&[], GalleryError::Length { found: 0, expected: 2 }),
        (&[1.0, f32::NAN], GalleryError::NotFinite { index: 1 }),
        (&[f32::NEG_INFINITY, 1.0], GalleryError::NotFinite { index: 0 }),
        (&[0.0, -0.0], GalleryError::NoDirection),
        (&[1e-45, 0.0], GalleryError::NoDirection),
        (&[f32::MAX, f32::MAX], GalleryError::NoDirection),
    ];
    for (embedding, expected) in cases {
        assert_eq!(gallery.add(embedding, 1), Err(expected));
        assert_eq!(gallery.nearest(embedding, &mut [Neighbor::default()]).err(), Some(expected));
    }
    assert!(gallery.is_empty());
    // Far from 1, and yet a direction.
    for (embedding, label) in [([1e-30, 0.0], 1), ([0.0, 1e30], 2)] {
        gallery.add(&embedding, label).unwrap();
    }
    let mut room = [Neighbor::default(); 2];
    assert_eq!(gallery.nearest(&[1e25, 1e24], &mut room).unwrap()[0].label, 1);
    assert!((room[0].similarity - 1.0 / libm::sqrtf(1.01)).abs() < 1e-6);
}

#[test]
fn bytes_come_back() {
    for storage in [Storage::F32, Storage::I8] {
        let examples = clusters(6, 13, 3, 10, 1.0);
        let mut memory = vec![0xAA; bytes_for(13, storage, 12)];
        let mut gallery = filled(&mut memory, storage, &examples);
        gallery.remove(2);
        let kept = gallery.bytes().to_vec();
        assert_eq!(kept.len(), bytes_for(13, storage, 9));
        let view = GalleryView::from_bytes(&kept).unwrap();
        assert_eq!((view.len(), view.dimension(), view.storage()), (9, 13, storage));
        let (mut one, mut other) = ([Neighbor::default(); 9], [Neighbor::default(); 9]);
        let query = &examples[4].0;
        assert_eq!(view.nearest(query, &mut one), gallery.nearest(query, &mut other));

        // With room behind it, it goes on.
        let mut memory = vec![0x55; bytes_for(13, storage, 10) + 3];
        memory[..kept.len()].copy_from_slice(&kept);
        let mut gallery = Gallery::open(&mut memory).unwrap();
        assert_eq!((gallery.len(), gallery.capacity(), gallery.dimension()), (9, 10, 13));
        assert_eq!(gallery.bytes(), kept);
        gallery.add(query, 77).unwrap();
        assert_eq!(GalleryView::from_bytes(gallery.bytes()).unwrap().label(9), Some(77));
        assert!(gallery.add(query, 77).is_err());
    }
    // An empty one, too.
    let mut memory = [0; bytes_for(5, Storage::I8, 1)];
    let kept = Gallery::new(&mut memory, 5, Storage::I8).unwrap().bytes().to_vec();
    assert!(GalleryView::from_bytes(&kept).unwrap().is_empty());
}

#[test]
fn damaged_bytes_are_refused() {
    type Fault = GalleryFormatError;
    let mut memory = [0; bytes_for(3, Storage::I8, 2)];
    let mut gallery = Gallery::new(&mut memory, 3, Storage::I8).unwrap();
    gallery.add(&[1.0, 2.0, 3.0], 5).unwrap();
    gallery.add(&[1.0, -2.0, 3.0], 6).unwrap();
    let good = gallery.bytes().to_vec();
    for length in 0..good.len() {
        let error = GalleryView::from_bytes(&good[..length]).unwrap_err();
        let expected = match length {
            0..HEADER => Fault::TooShort { found: length },
            _ => Fault::Length { found: length, expected: good.len() },
        };
        assert_eq!(error, expected);
        assert_eq!(Gallery::open(&mut good.clone()[..length]).err(), Some(expected));
    }
    assert!(GalleryView::from_bytes(&[&good[..], &[0]].concat()).is_err());
    for at in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        assert!(GalleryView::from_bytes(&bytes).is_err(), "bit {at}");
    }
    // Wrong in itself, with the right checksum.
    let turned = [good[39] ^ 0x80];
    let cases: [(usize, &[u8], Fault); 10] = [
        (0, b"\x89LAT", Fault::Magic),
        (8, &[2], Fault::Version { found: 2 }),
        (16, &[0; 4], Fault::Field { name: "dimension", found: 0 }),
        (16, &[0xFF; 4], Fault::Field { name: "dimension", found: u32::MAX }),
        (20, &[2], Fault::Field { name: "storage", found: 2 }),
        (28, &[1], Fault::Field { name: "reserved", found: 1 }),
        (36, &0f32.to_le_bytes(), Fault::Example { index: 0 }),
        // A negative length would turn every similarity round.
        (39, &turned, Fault::Example { index: 0 }),
        (48, &f32::NAN.to_le_bytes(), Fault::Example { index: 1 }),
        (55, &[1], Fault::Example { index: 1 }),
    ];
    for (at, change, expected) in cases {
        let mut bytes = good.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        let checksum = crate::format::crc32(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(GalleryView::from_bytes(&bytes).unwrap_err(), expected, "byte {at}");
    }
}

#[test]
fn the_fuzzer_begins_with_these_galleries() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gallery");
    for (name, storage, dimension, count) in
        [("f32", Storage::F32, 9, 6), ("i8", Storage::I8, 18, 6), ("empty", Storage::I8, 5, 0)]
    {
        let examples = clusters(4, dimension, 3, count.max(1), 0.5);
        let mut memory = vec![0; bytes_for(dimension, storage, examples.len())];
        let mut gallery = filled(&mut memory, storage, &examples);
        if count == 0 {
            gallery.clear();
        }
        let path = corpus.join(std::format!("{name}.lga"));
        // After a change of the format: `LATENT_BLESS=1 cargo test`.
        if std::env::var_os("LATENT_BLESS").is_some() {
            std::fs::write(&path, gallery.bytes()).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap() == gallery.bytes(),
            "{name} is not what a gallery writes today"
        );
    }
}

/// The bits that every target must give.
#[test]
fn bits_are_pinned() {
    for (storage, expected) in [(Storage::F32, 2802316341659336165), (Storage::I8, 13962625503262176261)] {
        let examples = clusters(7, 50, 3, 30, 1.0);
        let mut memory = vec![0; bytes_for(50, storage, 30)];
        let gallery = filled(&mut memory, storage, &examples);
        let mut room = [Neighbor::default(); 30];
        let found = gallery.nearest(&examples[0].0, &mut room).unwrap();
        let sum = found.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, n| {
            (sum ^ u64::from(n.similarity.to_bits())).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(sum, expected, "{storage:?}");
    }
}
