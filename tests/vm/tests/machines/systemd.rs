//! A Debian with systemd, made as the guide's page "A Debian product" says, that is updated by its
//! server: our units and the initramfs hook under the service manager that they are written for.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vm::{Image, Product, Rack, Vehicle, Vendor};

/// What the agent of this product has beside its credentials.
const CONFIGURATION: &str = "\
[uptane]
polling_sec = 1

[bootloader]
reboot_command = \"systemctl reboot\"

[health]
server = true
";

/// The product's own service, and the check that an update is held against.
const SERVICE: &str = "\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=@PROGRAM@
[Install]
WantedBy=multi-user.target
";
const CHECK: &str = "#!/bin/sh\nexec systemctl start important.service\n";

/// The release of this name, whose service runs this program.
fn files(program: &str) -> Vec<(&'static str, u32, String)> {
    vec![
        ("etc/systemd/system/important.service", 0o644, SERVICE.replace("@PROGRAM@", program)),
        ("usr/lib/updraft/health/check/required.d/10-important", 0o755, CHECK.to_owned()),
    ]
}

struct Debian {
    vehicle: Vehicle,
    product: Product,
    port: u16,
}

impl Debian {
    fn create(folder: &Path) -> Self {
        let vendor = Vendor::create(folder).unwrap();
        let programs = vendor.repository.programs().clone();
        let product = Product::create(&programs, &folder.join("product")).unwrap();
        systemd_understands_the_units_of(&product);
        let tree = product.tree("one", &files("/bin/true")).unwrap();
        vendor.repository.add_tree("one", &tree).unwrap();
        let etc = folder.join("etc");
        vendor.configure(&etc, "updraftd.d/50-vendor.toml", CONFIGURATION).unwrap();
        let image = Image::of(&vendor.repository, "one")
            .sizes("128M", "1G")
            .counting(1)
            .option("--set=sysroot.readonly=true")
            .option("--karg=quiet")
            .option("--karg=fsck.mode=skip")
            // A busy host lets the kernel think that its timer is broken.
            .option("--karg=no_timer_check")
            .option(format!("--etc={}", etc.display()));
        let disk = image.build(&folder.join("disk")).unwrap();
        let rack = folder.join("rack");
        fs::create_dir_all(&rack).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let rack = Rack::new(&rack, disk).with_network(&[(port, 9443)]);
        Self { vehicle: Vehicle::new(vendor, rack), product, port }
    }

    fn order(&mut self, release: &str, program: &str) {
        let tree = self.product.tree(release, &files(program)).unwrap();
        self.vehicle.vendor.repository.add_tree(release, &tree).unwrap();
        self.vehicle.vendor.order(release).unwrap();
    }

    fn run(&mut self, command: &str) -> String {
        self.vehicle.run(command).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn check(&mut self, command: &str, expected: &str) {
        assert_eq!(self.run(command), expected, "{command}");
    }

    /// All that systemd was to start has been started.
    fn check_running(&mut self) {
        let state = self.run("systemctl is-system-running --wait; systemctl --failed --no-legend");
        assert_eq!(state, "running", "{}", self.run("journalctl -b -p notice --no-pager"));
        for unit in [
            "boot-complete.target",
            "important.service",
            "ostree-finalize-staged.path",
            "ostree-remount.service",
            "updraft-boot-good.service",
            "updraft-health.service",
            "updraftd.service",
        ] {
            self.check(&format!("systemctl is-active {unit}"), "active");
        }
    }

    fn wait_for_server(&mut self, what: &str, known: impl Fn(&Value) -> bool) {
        self.vehicle.wait_for_server(what, known).unwrap();
    }
}

fn installed(device: &Value) -> &str {
    device["components"][0]["installed"]["filepath"].as_str().unwrap_or_default()
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn a_debian_product_is_updated_by_its_server_and_leaves_what_is_ill() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut debian = Debian::create(folder.path());

    debian.vehicle.wait_for("one").unwrap();
    debian.check_running();
    check_mounts(&mut debian);
    check_agent(&mut debian);
    let machine = debian.run("cat /etc/machine-id");
    debian.run("echo mine >/etc/mine; echo data >/var/lib/data");

    debian.order("two", "/bin/true");
    debian.vehicle.wait_for("two").unwrap();
    debian.check_running();
    debian.wait_for_server("two", |device| {
        installed(device).starts_with("two-") && device["assignment"].is_null()
    });
    let tries = debian.run("cat /sysroot/ostree/updraft/tries");
    assert!(tries.contains("good=true"), "{tries}");
    debian.check("cat /etc/mine /var/lib/data", "mine\ndata");
    debian.check("cat /etc/machine-id", &machine);
    check_server(&mut debian, folder.path());

    debian.order("ill", "/bin/false");
    debian.vehicle.wait_for("ill").unwrap();
    debian.vehicle.wait_for("two").unwrap();
    debian.wait_for_server("the ill release", |device| {
        let report = &device["last_report"];
        let says =
            |key: &str, text: &str| report[key].as_str().is_some_and(|value| value.contains(text));
        report["success"] == false
            && says("code", "HEALTH_CHECK_FAILED")
            && says("description", "10-important")
            && installed(device).starts_with("two-")
    });
    debian.check_running();
    check_staged(&mut debian, folder.path());
}

/// What is writable, and what is not; and who mounted it.
fn check_mounts(debian: &mut Debian) {
    for (place, mode) in
        [("/sysroot", "ro"), ("/usr", "ro"), ("/etc", "rw"), ("/var", "rw"), ("/boot/.", "rw")]
    {
        debian
            .check(&format!("findmnt -no OPTIONS --target {place} | tail -n1 | cut -d, -f1"), mode);
    }
    debian.check("findmnt -no FSTYPE /tmp", "tmpfs");
    let show = "systemctl show --value -p FragmentPath";
    debian.check(&format!("{show} var.mount"), "/run/systemd/generator/var.mount");
    // What the initramfs mounted stays where it is until the machine ends.
    let conflicts = "systemctl show --value -p ActiveState,Conflicts sysroot.mount";
    debian.check(&format!("{conflicts} | grep ."), "active");
    // The partition's type says what it is.
    debian.check(&format!("{show} boot.automount"), "/run/systemd/generator.late/boot.automount");
    debian.check("for i in /sysroot /usr; do touch $i/a 2>/dev/null && echo $i; done; true", "");
    debian.check("dpkg-query -W -f='${Status}' systemd", "install ok installed");
}

/// The agent reaches its server from inside of its bounds, and alone may write to /sysroot.
fn check_agent(debian: &mut Debian) {
    debian.wait_for_server("its registration", |device| device["state"].is_string());
    for _ in 0..2 {
        let status = "/proc/$(systemctl show --value -p MainPID updraftd)";
        debian.check(&format!("grep NoNewPrivs {status}/status | cut -f2"), "1");
        let own = format!(
            "for i in $(seq 100); do grep ' /sysroot rw,' {status}/mountinfo && break; sleep 1; \
             done | cut -d' ' -f5"
        );
        debian.check(&own, "/sysroot");
        debian.check("findmnt -no OPTIONS /sysroot | cut -d, -f1", "ro");
        debian.check("systemctl restart updraftd; systemctl is-active updraftd", "active");
    }
}

/// The server's unit: it starts, answers, comes back when it dies, and ends when it is told to.
fn check_server(debian: &mut Debian, folder: &Path) {
    let data = "/var/lib/updraft-server";
    debian.run(&format!(
        "install -d -o updraft-server -g updraft-server -m 700 {data} && \
         runuser -u updraft-server -- updraft-server init --name 127.0.0.1 && \
         systemctl start updraft-server"
    ));
    let ca = folder.join("ca.pem");
    fs::write(&ca, debian.run(&format!("cat {data}/tls/ca.pem"))).unwrap();
    let ask = |port: u16| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "60", "--cacert"]).arg(&ca);
        let output = curl.arg(format!("https://127.0.0.1:{port}/healthz")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask(debian.port).trim(), "ok");
    debian.check(
        "systemctl kill -s KILL updraft-server; \
         for i in $(seq 100); do \
         [ \"$(systemctl show --value -p NRestarts updraft-server)\" = 1 ] && break; sleep 1; done; \
         for i in $(seq 100); do systemctl is-active updraft-server && break; sleep 1; done | tail -n1",
        "active",
    );
    assert_eq!(ask(debian.port).trim(), "ok");
    debian.check(
        "systemctl stop updraft-server; \
         systemctl show --value -p ActiveState,Result,ExecMainStatus updraft-server | sort",
        "0\ninactive\nsuccess",
    );
}

/// A staged deployment is finished when systemd shuts the machine down.
fn check_staged(debian: &mut Debian, folder: &Path) {
    debian.run(
        "commit=$(ostree admin status | sed -n 's/^\\* os \\([0-9a-f]*\\)\\..*/\\1/p') && \
         ostree admin deploy --stage --os=os --karg-append=staged=yes $commit",
    );
    debian.check("systemctl is-active ostree-finalize-staged.service", "active");
    debian.run("echo late >/etc/late");
    debian.vehicle.tell("systemctl poweroff").unwrap();
    let disk = debian.vehicle.disk_when_off().unwrap();
    let boot = folder.join("boot");
    disk.dump("boot", &boot).unwrap();
    assert!(!boot.join("ostree/finalize-failure.stamp").exists());
    let entry = vm::first_entry(&boot).unwrap();
    let options = entry.get("options").unwrap().to_owned();
    assert!(options.contains("staged=yes"), "{options}");
    let link = options.split(' ').find_map(|word| word.strip_prefix("ostree=/")).unwrap();
    let root = folder.join("root");
    let _mounted = disk.mount("root", &root).unwrap();
    assert_eq!(fs::read_to_string(root.join(link).join("etc/late")).unwrap(), "late\n");
}

/// All that is shipped, with the programs where the units look for them.
fn systemd_understands_the_units_of(product: &Product) {
    let said = product
        .analyze(&["verify", "--man=no"], &vm::shipped_units().unwrap())
        .unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(said, "");
    // In tenths; 100 is a service without any bounds.
    for (unit, exposure) in [("updraft-server.service", "20"), ("updraftd.service", "80")] {
        let threshold = format!("--threshold={exposure}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold];
        product.analyze(&arguments, &[unit.to_owned()]).unwrap();
    }
}
