#!/bin/sh
# Mounts an instance's NVMe disks, if it has any, at $1; the AMI leaves them unmounted. Several disks are joined into
# one, which needs mdadm. The ECS AMI is built from the minimal AMI and lacks it, but its package repository is on S3,
# which all our networks reach. If mdadm cannot be installed, only the largest disk is used. If all fails, the root
# volume is used.
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
