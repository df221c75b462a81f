# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What does the demo put on this machine, and how does it all go again? Sourced by
# tools/demo; expects `set -euo pipefail` and root.
#
# Everything is found again by its name: the folder, four namespaces, the pin root.
# Processes are recorded with their start time, so that a number used anew by a
# stranger is not mistaken for ours.

folder=/run/ipvlanx-demo
spaces=(ipvx-demo-host ipvx-demo-ext ipvx-demo-a ipvx-demo-b)
pin_root=/sys/fs/bpf/ipvlanx-demo
own_bpffs=$folder/bpf
waiting_for= # the pid of what runs in the foreground

# ---------------------------------------------------------------------- speaking

title() {
  printf '\n== %s\n\n' "$1"
}

say() {
  echo "-- $1"
}

# show COMMAND...: as a person types it, then its output.
show() {
  echo "# $*"
  waited "$@"
}

# show_part PATTERN FILE COMMAND...: the same, with only some lines of the output;
# all of it goes to FILE, and to the screen if the command fails.
show_part() {
  local pattern=$1 file=$2
  shift 2
  echo "# $* | grep -E '$pattern'"
  if ! waited into_file "$file" "$@"; then
    cat "$file"
    return 1
  fi
  grep -E "$pattern" "$file"
}

# For a subshell: becomes the command, which writes to FILE.
into_file() {
  local file=$1
  shift
  exec "$@" >"$file" 2>&1
}

# --------------------------------------------------------------------- processes

# waited COMMAND...: in the foreground, but in a process group of its own: a signal
# to this script is heeded at once, and leave() ends the whole group.
waited() {
  local status=0
  set -m
  "$@" </dev/null 8>&- &
  waiting_for=$!
  set +m
  wait "$waiting_for" || status=$?
  waiting_for=
  return "$status"
}

# When a process started, in clock ticks since boot; nothing: it is not there.
started_at() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  set -- ${stat##*) } # the name in parentheses may contain blanks
  echo "${20}"
}

# background NAME COMMAND...: what it says goes to the folder's NAME.log.
background() {
  local name=$1
  shift
  "$@" </dev/null 8>&- >"$folder/$name.log" 2>&1 &
  echo "$! $(started_at $!)" >"$folder/$name.pid"
}

# until_said NAME PATTERN: the background command NAME said so.
until_said() {
  local pid
  read -r pid _ <"$folder/$1.pid"
  for _ in {1..200}; do
    if grep -qsE "$2" "$folder/$1.log"; then return; fi # it may not have begun to write
    kill -0 "$pid" 2>/dev/null || break
    waited sleep 0.05
  done
  echo "$1 does not answer:" >&2
  cat "$folder/$1.log" >&2
  return 1
}

# finish NAME: ends the background command NAME, if it is still the same.
finish() {
  local pid start
  read -r pid start <"$folder/$1.pid" || return 0
  if [[ -n $start && $(started_at "$pid") == "$start" ]]; then
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..100}; do
      [[ $(process_state "$pid") == [ZX]* ]] && break
      [[ $(started_at "$pid") == "$start" ]] || break
      sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  wait "$pid" 2>/dev/null || true
  rm -f "$folder/$1.pid"
}

process_state() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  echo "${stat##*) }"
}

# ----------------------------------------------------------------- taking, leaving

# One demo at a time: the lock on the folder is held as long as this script runs.
lock_the_folder() {
  while true; do
    mkdir -p "$folder"
    exec 8<"$folder"
    flock "$@" 8 || return 1
    # The demo that had the lock before us may have removed the folder.
    if [[ $folder -ef /dev/fd/8 ]]; then return 0; fi
  done
}

take_the_stage() {
  if ! lock_the_folder -n; then
    echo "tools/demo: another demo is running (pid $(cat "$folder/pid" 2>/dev/null || echo '?'))" >&2
    exit 1
  fi
  if [[ -e $folder/kept ]]; then
    echo "tools/demo: one is up already: see it with 'ipvlanx --socket $folder/api.sock link show'," >&2
    echo "remove it with tools/demo --clean" >&2
    exit 1
  fi
  clear_the_stage # of one that was killed
  echo $$ >"$folder/pid"
  if [[ ! -e /run/netns ]]; then touch "$folder/made-run-netns"; fi
}

# For --clean: a demo that is running is asked to end.
take_the_stage_from_others() {
  lock_the_folder -n && return
  local pid
  pid=$(cat "$folder/pid" 2>/dev/null) || true
  if [[ -n $pid ]]; then
    echo "-- ending the demo that is running (pid $pid)"
    kill -TERM "$pid" 2>/dev/null || true
  fi
  lock_the_folder -w 60 || {
    echo "tools/demo: the demo that is running does not end" >&2
    exit 1
  }
}

# Everything but the empty folder goes; also what was left half done. May be called at
# any time, and again.
clear_the_stage() {
  local file space made_run_netns=no
  if [[ -e $folder/made-run-netns ]]; then made_run_netns=yes; fi
  for file in "$folder"/*.pid; do
    if [[ -e $file ]]; then finish "$(basename "$file" .pid)"; fi
  done
  for space in "${spaces[@]}"; do
    if [[ -e /run/netns/$space ]]; then ip netns del "$space" || true; fi
  done
  rm -rf /sys/fs/bpf/ipvlanx-demo
  while mountpoint -q "$own_bpffs"; do umount "$own_bpffs" || break; done
  if [[ $made_run_netns == yes && -d /run/netns && -z $(ls -A /run/netns) ]]; then
    umount /run/netns 2>/dev/null || true
    rmdir /run/netns 2>/dev/null || true
  fi
  find "$folder" -xdev -mindepth 1 -delete
}

# And the folder, with the lock on it.
leave_the_stage() {
  clear_the_stage
  rmdir "$folder"
}

# bpffs is where it should be, or we bring our own.
prepare_pin_root() {
  [[ $(stat -f -c %T /sys/fs/bpf 2>/dev/null) == bpf_fs ]] && return
  say "no bpffs is mounted on /sys/fs/bpf: one of the demo's own"
  mkdir -p "$own_bpffs"
  show mount -t bpf bpf "$own_bpffs"
  pin_root=$own_bpffs/ipvlanx-demo
}

# leave STATUS: the end of the script, however it came.
leave() {
  trap '' INT TERM HUP PIPE
  set +e # the terminal may be gone
  if [[ -n $waiting_for ]]; then
    kill -TERM -- "-$waiting_for" 2>/dev/null
    wait "$waiting_for" 2>/dev/null # apt, once it unpacks, ends what it began
  fi
  if [[ $1 == 0 && -e $folder/kept ]]; then exit 0; fi
  printf '\n-- cleaning up\n'
  leave_the_stage
  exit "$1"
}
