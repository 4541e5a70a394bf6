//! Payloads within OTA packages.

use std::process::Command;

use updraft_slots::{FileSource, Source as _, Trust};

use super::make::{World, delta};

#[test]
fn a_payload_is_found_in_a_package() {
    let maker = delta();
    let world = World::of(&maker);
    let payload = world.path("payload.bin");
    std::fs::write(&payload, maker.unsigned()).unwrap();
    std::fs::write(world.path("other"), b"something before it").unwrap();
    let package = world.path("ota.zip");
    let script = "import sys, zipfile\n\
                  method = zipfile.ZIP_DEFLATED if sys.argv[4] == 'd' else zipfile.ZIP_STORED\n\
                  with zipfile.ZipFile(sys.argv[1], 'w', method) as z:\n\
                  \x20z.comment = b'signed, perhaps'\n\
                  \x20z.write(sys.argv[2], 'META-INF/x')\n\
                  \x20with z.open(zipfile.ZipInfo('payload.bin'), 'w', force_zip64=True) as entry:\n\
                  \x20 entry.write(open(sys.argv[3], 'rb').read())\n\
                  \x20if sys.argv[4] == 'd':\n\
                  \x20 z.write(sys.argv[3], 'payload.bin')\n";
    let zip = |method: &str| {
        let mut python = Command::new("python3");
        python
            .args(["-W", "ignore", "-c", script])
            .arg(&package)
            .arg(world.path("other"))
            .arg(&payload);
        assert!(python.arg(method).status().unwrap().success());
    };
    zip("s");
    let mut source = FileSource::open(&package).unwrap();
    assert_eq!(source.size(), Some(maker.unsigned().len() as u64));
    world.apply_from(&mut source, &Trust::default()).unwrap();
    world.assert_holds(&maker);
    zip("d");
    let error = FileSource::open(&package).unwrap_err();
    assert!(error.to_string().contains("compressed"), "{error}");
    std::fs::write(&package, b"PK\x03\x04").unwrap();
    assert!(FileSource::open(&package).is_err());
}
