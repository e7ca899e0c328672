"""System calls that no program may make, by the families of what they would reach."""

REFUSED = """
socket connect accept accept4 bind listen sendmsg recvmsg sendmmsg recvmmsg setsockopt
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp get_robust_list
pidfd_open pidfd_getfd pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo
keyctl add_key request_key bpf perf_event_open userfaultfd seccomp
io_uring_setup io_uring_enter io_uring_register io_setup io_submit
unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr
landlock_create_ruleset landlock_add_rule landlock_restrict_self
mknodat shmget shmat shmctl shmdt semget semop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_notify
memfd_create memfd_secret execveat personality syslog init_module finit_module delete_module kexec_load
kexec_file_load quotactl quotactl_fd swapon swapoff reboot settimeofday clock_settime adjtimex clock_adjtime
sethostname setdomainname acct vhangup sync syncfs
name_to_handle_at open_by_handle_at fanotify_init fanotify_mark inotify_init1 inotify_add_watch lookup_dcookie
move_pages migrate_pages mbind set_mempolicy get_mempolicy set_mempolicy_home_node
vmsplice splice tee pkey_alloc pkey_free pkey_mprotect remap_file_pages
setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capget capset
sched_setattr sched_getattr ioprio_set ioprio_get timer_create signalfd4
"""
REFUSED_ON_X86_64 = "mknod iopl ioperm modify_ldt uselib ustat sysfs inotify_init signalfd create_module"
XATTR = """
setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr
fremovexattr
"""
