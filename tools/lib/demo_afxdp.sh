# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What does `tools/demo afxdp` show? Sourced by tools/demo, whose stage and daemon these scenes have.
#
#     ipvx-demo-ext        ipvx-demo-host              ipvx-demo-a            ipvx-demo-b
#     x0  ---- veth ----  m0 ==== two l2 slaves =====  app0, via afxdp        ipvl1
#     10.0.0.1             10.0.0.2                    10.0.0.10              10.0.0.11

make_slaves_for_applications() {
  title "A slave for a packet application, and a plain one, on one NIC"
  show ipvlanx link add link m0 name app0 mode l2 via afxdp netns ipvx-demo-a \
    addr 10.0.0.10/24 addr fd00::10/64
  show ipvlanx link add link m0 name ipvl1 mode l2 netns ipvx-demo-b addr 10.0.0.11/24 addr fd00::11/64
  show ipvlanx link show
  say "IPv6 looks for duplicates of its addresses first: a second or two"
  waited_for_ipv6
}

# How many echo requests app0's kernel stack has answered.
answered_by_its_stack() {
  ip netns exec ipvx-demo-a nstat -asz IcmpInEchos | awk '$1 == "IcmpInEchos" { print $2 }'
}

# pinged COUNT ADDRESS...: from the wire and from the plain slave; app0's stack answers COUNT.
pinged() {
  local wanted=$1 before after address
  before=$(answered_by_its_stack)
  for address in "${@:2}"; do
    ping_from ipvx-demo-ext "external -> app0" "$address"
    ping_from ipvx-demo-b "plain slave -> app0" "$address"
  done
  after=$(answered_by_its_stack)
  say "app0's kernel stack has answered $((after - before)) pings of these"
  ((after - before == wanted)) || fail "it was to be $wanted"
}

show_its_stack_answering() {
  title "No application is bound: app0 is a slave as any other"
  pinged 6 10.0.0.10
}

show_dpdk_answering() {
  title "DPDK's testpmd (Debian's, unmodified) binds itself to app0, and answers instead"
  local last=$(($(nproc) - 1))
  # Its files, too, in the demo's folder.
  local run=(env "RUNTIME_DIRECTORY=$folder" nsenter --net=/run/netns/ipvx-demo-a dpdk-testpmd
    --lcores "0@0,1@$last" --no-pci --no-huge -m 512 --no-telemetry --vdev "net_af_xdp0,iface=app0"
    -- --forward-mode=icmpecho --nb-cores=1 --total-num-mbufs=8192 --stats-period 1 --auto-start)
  echo "# ${run[*]} &"
  background testpmd "${run[@]}"
  until_said testpmd 'NIC statistics'
  pinged 0 10.0.0.10
  ping_from ipvx-demo-ext "external -> plain slave, meanwhile" 10.0.0.11
  waited sleep 1.1 # its next statistics
  say "what testpmd says it has received and sent"
  grep -E '^ +[RT]X-packets' "$folder/testpmd.log" | tail -n 2
}

show_its_stack_again() {
  title "testpmd is killed: app0's stack answers again, at once"
  local pid
  read -r pid _ <"$folder/testpmd.pid"
  echo "# kill -KILL $pid"
  kill -KILL "$pid"
  finish testpmd
  pinged 6 10.0.0.10
}

show_the_reference_client() {
  title "ipvlanx-xsk, with two capabilities alone, asks the daemon for app0's map; IPv6 too"
  local caps=-all,+net_raw,+ipc_lock id
  id=$(ipvlanx -j link show dev app0 | jq '.[0].id')
  local run=(nsenter --net=/run/netns/ipvx-demo-a setpriv --inh-caps "$caps" --bounding-set "$caps"
    ipvlanx-xsk echo app0 --socket "$folder/slaves/$id/afxdp.sock")
  echo "# ${run[*]} &"
  background xsk "${run[@]}"
  until_said xsk '^ready: '
  pinged 0 10.0.0.10 fd00::10
  finish xsk
  grep -A4 '^app0 queue' "$folder/xsk.log" || fail "ipvlanx-xsk has no summary"
}
