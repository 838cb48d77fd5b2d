#!/bin/sh
# Mounts an instance's NVMe disks, which the AMI leaves unmounted, at $1, and nothing where there are none. Several are
# joined as one, which takes mdadm: the ECS AMI is made from the minimal one, without it, and its repository is on S3, which
# every network of ours reaches. Where it cannot be had the largest disk alone is used. Whatever fails, the root volume serves.
set -- "$1" $(ls "${BY_ID:-/dev/disk/by-id}"/nvme-Amazon_EC2_NVMe_Instance_Storage_* 2>/dev/null | grep -v '_1$' | xargs -r -n1 readlink -f | sort -u)
scratch=$1
shift
mkdir -p "$scratch"
disk=$1
if [ $# -gt 1 ]; then
  command -v mdadm >/dev/null || timeout 180 dnf -q -y install mdadm
  if mdadm --create /dev/md0 --run --level=0 --raid-devices=$# "$@"; then
    disk=/dev/md0
  else
    disk=$(lsblk -dbnro SIZE,PATH "$@" | sort -n | tail -n1 | cut -d' ' -f2)
  fi
fi
[ -z "$disk" ] || { mkfs.xfs -f "$disk" && mount -o noatime "$disk" "$scratch"; }
chmod 1777 "$scratch"
