#!/bin/bash
# dracut module: updraft-init makes the chosen deployment the root, in place of ostree-prepare-root.
# Install as /usr/lib/dracut/modules.d/50updraft/module-setup.sh; switch on with
# `add_dracutmodules+=" updraft "` and `omit_dracutmodules+=" ostree "`.

check() {
    [[ -x $systemdutildir/systemd ]] || return 1
    [[ -x $dracutsysrootdir/usr/lib/updraft/updraft-init ]] || return 1
    # Only when it is asked for.
    return 255
}

depends() {
    echo systemd
}

installkernel() {
    # For composefs: the image, a device for it on older kernels, and the layers over it.
    hostonly='' instmods erofs loop overlay
}

install() {
    local service=updraft-prepare-root.service
    inst_simple /usr/lib/updraft/updraft-init
    inst_simple "$systemdsystemunitdir/$service"
    local file
    for file in /usr/lib/ostree/prepare-root.conf /etc/ostree/prepare-root.conf \
        /etc/ostree/initramfs-root-binding.key; do
        [[ ! -e $dracutsysrootdir$file ]] || inst_simple "$file"
    done
    mkdir -p "$initdir$systemdsystemconfdir/initrd-root-fs.target.wants"
    ln_r "$systemdsystemunitdir/$service" \
        "$systemdsystemconfdir/initrd-root-fs.target.wants/$service"
}
