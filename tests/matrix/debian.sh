# Sourced by the scripts beside it: packages of any Debian suite, fetched and unpacked without
# installing them. Each suite gets a private apt state below the cache folder, so neither the host's
# sources nor its package database are touched, and no root rights are needed to fetch.
# shellcheck shell=bash

cache=${MCT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kamailio-memcached}
arch=$(dpkg --print-architecture)

say() { printf '%s\n' "$*" >&2; }

# The Debian mirror this machine is set up for. A machine that never ran `apt-get update` does not
# know who stands behind a source: then the first one is as good as any.
mirror() {
    local all
    # shellcheck disable=SC2016 # apt fills these in, not the shell
    all=$(apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages')
    { grep '^Debian/Debian ' <<<"$all" || printf '%s\n' "$all"; } | awk 'NR == 1 { print $2 }'
}

# private_apt SUITE: lays the apt state of SUITE; later calls of apt_for use it. It is a hundred
# megabytes: whoever lays it removes it with forget_apt.
private_apt() {
    local dir=$cache/apt/$1
    rm -rf "$dir"
    mkdir -p "$dir"/{lists/partial,cache/archives/partial}
    : >"$dir/status"
    printf 'deb [signed-by=%s arch=%s] %s %s main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$arch" "$(mirror)" "$1" >"$dir/sources.list"
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

# apt reads the host's own settings after ours, and container images turn its cache off there: that
# makes each look-up cost a second. What stands on the command line wins.
apt_for() { # SUITE COMMAND...
    APT_CONFIG=$cache/apt/$1/apt.conf "$2" -o Dir::Cache::pkgcache=pkgcache.bin \
        -o Dir::Cache::srcpkgcache=srcpkgcache.bin "${@:3}"
}

# refresh SUITE: the suite's index, new. On failure prints apt's own reason and returns 1.
refresh() {
    local said
    private_apt "$1"
    if ! said=$(apt_for "$1" apt-get update -q 2>&1); then
        said=$(grep '^E:' <<<"$said" || printf '%s\n' "$said")
        printf '%s\n' "${said%%$'\n'*}"
        return 1
    fi
}

# with_libraries SUITE PACKAGE...: the packages and every library they need, one per line. Only
# libraries are followed: a server that runs from an unpacked tree has no use for adduser or python3.
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

# versions SUITE PACKAGE...: `name version` lines; a package that the suite lacks is an error.
versions() {
    local suite=$1
    apt_for "$suite" apt-cache show --no-all-versions "${@:2}" | awk '
        $1 == "Package:" { name = $2 }
        $1 == "Version:" { print name, $2 }' | sort
}

# unpack SUITE FOLDER PACKAGE...: the packages' files below FOLDER, texts and charsets left out. The
# links that a merged /usr consists of come first: packages of both kinds then land in one place.
# A package database is kept, so that dpkg can work on the tree afterwards (`dpkg --root`).
# Each step tells its failure itself: callers stand in a condition, where `set -e` is off.
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

# dpkg names the file list of a co-installable package after its architecture too.
list_name() {
    local name
    name=$(dpkg-deb --field "$1" Package)
    [[ $(dpkg-deb --field "$1" Multi-Arch) == same ]] && name+=:$(dpkg-deb --field "$1" Architecture)
    printf '%s\n' "$name"
}
