# Functions that fetch packages of any Debian suite and unpack them without installing. Other
# scripts source this file. Each suite has its own apt state in the cache folder. So the machine's
# sources and package database stay untouched, and no root rights are needed to fetch.
#
# A suite is a Debian by its name, such as `bookworm`. `bookworm-arm64` is that of another
# architecture. What runs there needs qemu-user-static.
# shellcheck shell=bash

cache=${MCT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kamailio-memcached}
host_arch=$(dpkg --print-architecture)

arch_of() { # SUITE: Debian's name of its architecture
    [[ $1 == *-* ]] && printf '%s\n' "${1##*-}" || printf '%s\n' "$host_arch"
}

suite_for() { # RELEASE ARCH
    [[ $2 == "$host_arch" ]] && printf '%s\n' "$1" || printf '%s\n' "$1-$2"
}

emulator_of() { # SUITE: the program that runs those of its architecture; nothing if the processor does
    case $(arch_of "$1") in
        "$host_arch") ;;
        arm64) echo /usr/bin/qemu-aarch64-static ;;
        amd64) echo /usr/bin/qemu-x86_64-static ;;
    esac
}

# enter FOLDER PROGRAM...: runs a program of a tree in this tree. tests/support/src/host.rs does the same.
enter() {
    local emulator=()
    [[ ! -e $1/emulator ]] || emulator=(/emulator)
    chroot "$1" "${emulator[@]}" "${@:2}"
}

say() { printf '%s\n' "$*" >&2; }

# The Debian mirror that this machine uses. A machine that never ran `apt-get update` does not know
# which source is Debian's. Then the first one is used.
mirror() {
    local all
    # shellcheck disable=SC2016 # apt fills these in, not the shell
    all=$(apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages')
    { grep '^Debian/Debian ' <<<"$all" || printf '%s\n' "$all"; } | awk 'NR == 1 { print $2 }'
}

# private_apt SUITE: makes the apt state of SUITE, which apt_for uses later. It has a hundred
# megabytes, so the caller must remove it with forget_apt.
private_apt() {
    local dir=$cache/apt/$1 arch
    arch=$(arch_of "$1")
    rm -rf "$dir"
    mkdir -p "$dir"/{lists/partial,cache/archives/partial}
    : >"$dir/status"
    printf 'deb [signed-by=%s arch=%s] %s %s main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$arch" "$(mirror)" "${1%%-*}" >"$dir/sources.list"
    cat >"$dir/apt.conf" <<EOF
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$dir";
Dir::State::status "$dir/status";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
EOF
}

forget_apt() { rm -rf "$cache/apt/$1"; }

# apt reads the machine's own settings after ours. Container images turn its cache off there, and
# then each look-up takes a second. Options on the command line have precedence.
apt_for() { # SUITE COMMAND...
    APT_CONFIG=$cache/apt/$1/apt.conf "$2" -o Dir::Cache::pkgcache=pkgcache.bin \
        -o Dir::Cache::srcpkgcache=srcpkgcache.bin "${@:3}"
}

# refresh SUITE: fetches the index of the suite again. On failure it prints apt's reason and returns
# 1.
refresh() {
    local said
    private_apt "$1"
    if ! said=$(apt_for "$1" apt-get update -q 2>&1); then
        said=$(grep '^E:' <<<"$said" || printf '%s\n' "$said")
        printf '%s\n' "${said%%$'\n'*}"
        return 1
    fi
}

# with_libraries SUITE PACKAGE...: the packages and all libraries that they need, one per line.
# Other dependencies are left out: a server that runs from an unpacked tree does not need adduser or
# python3.
with_libraries() {
    local suite=$1 all before=''
    all=$(printf '%s\n' "${@:2}" | sort -u)
    while [[ $all != "$before" ]]; do
        before=$all
        # shellcheck disable=SC2086 # one word per package
        all=$({
            printf '%s\n' $before
            apt_for "$suite" apt-cache depends --important $before |
                awk '/Depends:/ && $NF ~ /^z?lib/ { print $NF }'
        } | sort -u)
    done
    printf '%s\n' "$all"
}

# versions SUITE PACKAGE...: lines of `name version`. It is an error if the suite does not have a
# package.
versions() {
    local suite=$1
    apt_for "$suite" apt-cache show --no-all-versions "${@:2}" | awk '
        $1 == "Package:" { name = $2 }
        $1 == "Version:" { print name, $2 }' | sort
}

# unpack SUITE FOLDER PACKAGE...: unpacks the packages' files in FOLDER, without documentation and
# character sets. The links of a merged /usr are made first, so that old and new packages put files
# into the same place. A package database is kept, so that dpkg can work on the tree afterwards
# (`dpkg --root`). Each step reports its own failure, because callers use it in a condition, where
# `set -e` has no effect.
unpack() {
    local suite=$1 folder=$2 info=$2/var/lib/dpkg/info debs deb link
    debs=$(mktemp -d "$cache/debs.XXXXXX") &&
        (cd "$debs" && apt_for "$suite" apt-get download -qq "${@:3}") >&2 &&
        mkdir -p "$folder"/usr/{bin,sbin,lib,lib64} "$info" "$info/../updates" || return
    echo 1 >"$info/format"
    for link in bin sbin lib lib64; do ln -s "usr/$link" "$folder/$link"; done
    for deb in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -xv -C "$folder" --keep-directory-symlink \
            --no-same-owner --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
            --exclude='./usr/share/locale/*' --exclude='*/gconv/*' |
            sed 's/^\.//; s,/$,,; s,^$,/.,' >"$info/$(list_name "$deb").list" || return
        dpkg-deb --field "$deb" | sed '1a Status: install ok installed' || return
        echo
    done >"$folder/var/lib/dpkg/status"
    rm -r "$debs"
}

# dpkg adds the architecture to the name of the file list if packages of several architectures can
# be installed.
list_name() {
    local name
    name=$(dpkg-deb --field "$1" Package)
    [[ $(dpkg-deb --field "$1" Multi-Arch) == same ]] && name+=:$(dpkg-deb --field "$1" Architecture)
    printf '%s\n' "$name"
}
