"""What the machine does while a run trains, as `system/...`: processors, memory, disk, network and accelerators.

One daemon thread serves all runs of a process. It reads every so many seconds, and writes the means over the time since the last
point at the newest step of the run: one point a step, since TensorBoard shows one. While the run takes no new step it goes on
reading and writes nothing; the last means are written when the run is closed. A run that never takes a step has no such points.

A source that fails is said once and left out. A rank that writes nothing has no metrics either: those of a run are of the machine
where rank 0 runs. With `per_rank=True` each rank has those of its own machine.

    system/cpu_pct                          of all processors of the machine, 100 is all of them
    system/process_cpu_pct                  of this process without those that it has started, 100 is one processor
    system/memory_gb  system/memory_pct     in use on the machine
    system/process_memory_gb                resident, of this process
    system/disk_read_mb_per_s  …_write_…    all disks of the machine, and not again what is made of them (RAID, LVM)
    system/disk_used_pct                    of the file system of the run directory
    system/network_sent_mb_per_s  …_received_…    of the network hardware; in a container, of its interfaces to the outside
    system/gpu_utilization_pct              share of the time in which something ran, of the one device that the process may use;
                                            `system/gpu<i>_...` of each if there are several, also of TPUs
    system/gpu_memory_used_mib  …_used_pct  of the device, by all processes; other than what the adapters write as allocated
    system/gpu_power_w  system/gpu_temperature_c

GB and MB are powers of ten, MiB is 2**20. Needs psutil, and nvidia-ml-py for GPUs of NVIDIA: `pip install 'multiboard[system]'`;
amdsmi comes with ROCm, libtpu with JAX for TPUs. Which devices a process may use is what the variables of CUDA, HIP and ROCm say.
"""

from multiboard.system.watching import EVERY, watch

__all__ = ["EVERY", "watch"]
