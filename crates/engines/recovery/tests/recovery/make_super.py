"""Makes a partition `super` by the structures of the package liblp, which reads them again.

make_super.py SPEC OUT: SPEC is JSON with size, block_size, max_size, slots, minor, groups, partitions
(name, group, attributes, extents, content: the path of a file or null) and devices.
"""
import hashlib
import json
import sys
from ctypes import c_uint8, sizeof

from liblp.include import metadata_format as lp


def sum_of(data):
    return (c_uint8 * 32)(*hashlib.sha256(data).digest())


def geometry_of(spec):
    geometry = lp.LpMetadataGeometry(
        magic=lp.LP_METADATA_GEOMETRY_MAGIC, struct_size=sizeof(lp.LpMetadataGeometry),
        metadata_max_size=spec["max_size"], metadata_slot_count=spec["slots"],
        logical_block_size=spec["block_size"])
    geometry.checksum = sum_of(bytes(geometry))
    return bytes(geometry).ljust(lp.LP_METADATA_GEOMETRY_SIZE, b"\0")


def table_of(spec):
    names = [group["name"] for group in spec["groups"]]
    partitions, extents = [], []
    for one in spec["partitions"]:
        partitions.append(lp.LpMetadataPartition(
            name=one["name"].encode(), attributes=one["attributes"],
            first_extent_index=len(extents), num_extents=len(one["extents"]),
            group_index=names.index(one["group"])))
        extents += [lp.LpMetadataExtent(num_sectors=sectors, target_type=kind, target_data=start,
                                        target_source=device)
                    for sectors, kind, start, device in one["extents"]]
    groups = [lp.LpMetadataPartitionGroup(name=group["name"].encode(), flags=0,
                                          maximum_size=group["max_size"])
              for group in spec["groups"]]
    devices = [lp.LpMetadataBlockDevice(first_logical_sector=one["first_sector"],
                                        alignment=one["alignment"], size=one["size"],
                                        partition_name=one["name"].encode())
               for one in spec["devices"]]
    is_long = spec["minor"] >= lp.LP_METADATA_VERSION_FOR_EXPANDED_HEADER
    header = (lp.LpMetadataHeader if is_long else lp.LpMetadataHeaderV1_0)(
        magic=lp.LP_METADATA_HEADER_MAGIC, major_version=lp.LP_METADATA_MAJOR_VERSION,
        minor_version=spec["minor"])
    header.header_size = sizeof(header)
    tables = b""
    for field, kind, entries in (("partitions", lp.LpMetadataPartition, partitions),
                                 ("extents", lp.LpMetadataExtent, extents),
                                 ("groups", lp.LpMetadataPartitionGroup, groups),
                                 ("block_devices", lp.LpMetadataBlockDevice, devices)):
        setattr(header, field, lp.LpMetadataTableDescriptor(
            offset=len(tables), num_entries=len(entries), entry_size=sizeof(kind)))
        tables += b"".join(map(bytes, entries))
    header.tables_size = len(tables)
    header.tables_checksum = sum_of(tables)
    header.header_checksum = sum_of(bytes(header))
    return bytes(header) + tables


def main():
    spec_path, out = sys.argv[1:]
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    geometry, table = geometry_of(spec), table_of(spec)
    with open(out, "wb") as image:
        image.truncate(spec["size"])
        image.seek(lp.LP_PARTITION_RESERVED_BYTES)
        image.write(geometry * 2)
        for _ in range(2 * spec["slots"]):
            image.write(table.ljust(spec["max_size"], b"\0"))
        for one in spec["partitions"]:
            if not one["content"]:
                continue
            with open(one["content"], "rb") as content:
                for sectors, _, start, _ in one["extents"]:
                    image.seek(start * lp.LP_SECTOR_SIZE)
                    image.write(content.read(sectors * lp.LP_SECTOR_SIZE))


main()
