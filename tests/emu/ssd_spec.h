/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_spec.h - the numbers of NVM Express that the emulated SSD answers with
 *
 * The emulator's own table, typed from the specification and never shared with the driver's: if
 * both read one table, one mistyped number would look right from both ends. Sections are those of
 * NVMe Base 2.3 unless said otherwise; 2.4 names the exported-subsystem parts.
 */
#ifndef EMU_SSD_SPEC_H
#define EMU_SSD_SPEC_H

/* Controller registers (3.1.4) */
#define REG_CAP   0x00
#define REG_VS    0x08
#define REG_INTMS 0x0C
#define REG_INTMC 0x10
#define REG_CC    0x14
#define REG_CSTS  0x1C
#define REG_AQA   0x24
#define REG_ASQ   0x28
#define REG_ACQ   0x30
#define REG_END   0x40 /* nothing of ours at or beyond */

#define CC_EN          0x1u
#define CC_CSS(cc)     (((cc) >> 4) & 0x7u)
#define CC_MPS(cc)     (((cc) >> 7) & 0xFu)
#define CC_AMS(cc)     (((cc) >> 11) & 0x7u)
#define CC_SHN(cc)     (((cc) >> 14) & 0x3u)
#define CC_IOSQES(cc)  (((cc) >> 16) & 0xFu)
#define CC_IOCQES(cc)  (((cc) >> 20) & 0xFu)
#define CC_WRITABLE    0x00FFFFF1u
#define CC_SHN_MASK    0x0000C000u
#define CC_SIZES_MASK  0x00FF0000u
#define CSTS_RDY       0x1u
#define CSTS_CFS       0x2u
#define CSTS_SHST_DONE 0x8u

/* Admin opcodes (3.1.3.4) */
enum {
	ADM_DELETE_SQ = 0x00,
	ADM_CREATE_SQ = 0x01,
	ADM_GET_LOG = 0x02,
	ADM_DELETE_CQ = 0x04,
	ADM_CREATE_CQ = 0x05,
	ADM_IDENTIFY = 0x06,
	ADM_ABORT = 0x08,
	ADM_SET_FEATURES = 0x09,
	ADM_GET_FEATURES = 0x0A,
	ADM_AER = 0x0C,
	ADM_NS_MGMT = 0x0D,
	ADM_NS_ATTACH = 0x15,
	ADM_EXPORT_RECV = 0x2A, /* Manage Exported NVM Subsystem Receive */
	ADM_EXPORT_SEND = 0x2D, /* Manage Exported NVM Subsystem Send */
	ADM_EXPORT_NS = 0x31,   /* Manage Exported Namespace */
	ADM_TRACK_SEND = 0x3D,
	ADM_MIG_SEND = 0x41,
	ADM_MIG_RECV = 0x42,
	ADM_CDQ = 0x45,
	ADM_GET_LBA_STATUS = 0x86,
};

/* NVM command set opcodes */
enum {
	IO_FLUSH = 0x00,
	IO_WRITE = 0x01,
	IO_READ = 0x02,
	IO_COMPARE = 0x05,
	IO_WRITE_ZEROES = 0x08,
	IO_DSM = 0x09,
	IO_VERIFY = 0x0C,
};

/* Status: SCT in bits 10:8, SC in bits 7:0; DNR where trying again cannot help (4.2.3) */
#define ST_DNR 0x4000u
enum {
	ST_OK = 0x000,
	ST_INVALID_OPCODE = 0x001 | ST_DNR,
	ST_INVALID_FIELD = 0x002 | ST_DNR,
	ST_DATA_TRANSFER = 0x004,
	ST_INTERNAL = 0x006,
	ST_ABORTED = 0x007,
	ST_INVALID_NS = 0x00B | ST_DNR,
	ST_SEQUENCE = 0x00C | ST_DNR,
	ST_PRP_OFFSET = 0x013 | ST_DNR,
	ST_LBA_RANGE = 0x080 | ST_DNR,
	ST_CQ_INVALID = 0x100 | ST_DNR,
	ST_QID_INVALID = 0x101 | ST_DNR,
	ST_QSIZE_INVALID = 0x102 | ST_DNR,
	ST_AER_LIMIT = 0x105 | ST_DNR,
	ST_VECTOR_INVALID = 0x108 | ST_DNR,
	ST_LOG_INVALID = 0x109 | ST_DNR,
	ST_FORMAT_INVALID = 0x10A | ST_DNR,
	ST_QUEUE_DELETION = 0x10C | ST_DNR,
	ST_FEATURE_NOT_SAVEABLE = 0x10D | ST_DNR,
	ST_FEATURE_NOT_CHANGEABLE = 0x10E | ST_DNR,
	ST_FEATURE_NOT_PER_NS = 0x10F | ST_DNR,
	ST_NO_CAPACITY = 0x115 | ST_DNR,
	ST_NO_NSID = 0x116 | ST_DNR,
	ST_ALREADY_ATTACHED = 0x118 | ST_DNR,
	ST_NS_PRIVATE = 0x119 | ST_DNR,
	ST_NOT_ATTACHED = 0x11A | ST_DNR,
	ST_CTRL_LIST = 0x11C | ST_DNR,
	ST_CTRL_INVALID = 0x11F | ST_DNR,
	ST_CDQ_INVALID = 0x137 | ST_DNR,
	ST_NO_RESOURCES = 0x138 | ST_DNR,
	ST_SUSPENDED = 0x139 | ST_DNR,
	ST_NOT_SUSPENDED = 0x13A | ST_DNR,
	ST_CDQ_FULL = 0x13B | ST_DNR,
	ST_CTRL_ACTIVE = 0x142 | ST_DNR,
	ST_EXPORT_ASSOC = 0x143 | ST_DNR,
	ST_EXPORT_CONFIG = 0x144 | ST_DNR,
	ST_WRITE_FAULT = 0x280,
	ST_READ_ERROR = 0x281,
	ST_COMPARE_FAILED = 0x285 | ST_DNR,
};

/* Submission queue entry: byte offsets */
#define SQE_BYTES 64
#define SQE_NSID  4
#define SQE_PRP1  24
#define SQE_PRP2  32
#define SQE_CDW10 40
#define CQE_BYTES 16

/* Identify: CNS values (5.2.13.1) */
enum {
	CNS_NS = 0x00,
	CNS_CTRL = 0x01,
	CNS_ACTIVE_NS = 0x02,
	CNS_NS_DESC = 0x03,
	CNS_CS_NS = 0x05,
	CNS_CS_CTRL = 0x06,
	CNS_ALLOC_NS = 0x10,
	CNS_ALLOC_NS_DATA = 0x11,
	CNS_NS_CTRLS = 0x12,
	CNS_CTRLS = 0x13,
	CNS_UUIDS = 0x17,
	CNS_STATE_FORMATS = 0x20,
	CNS_UNDERLYING_CTRLS = 0x21,
	CNS_TEMPLATES = 0x22,
};
#define ID_BYTES 4096

/* Identify Controller: byte offsets (5.2.13.2.1) */
#define IDC_VID       0
#define IDC_SSVID     2
#define IDC_SN        4
#define IDC_MN        24
#define IDC_FR        64
#define IDC_RAB       72
#define IDC_IEEE      73
#define IDC_CMIC      76
#define IDC_MDTS      77
#define IDC_CNTLID    78
#define IDC_VER       80
#define IDC_OAES      92
#define IDC_CTRATT    96
#define IDC_CNTRLTYPE 111
#define IDC_OACS      256
#define IDC_ACL       258
#define IDC_AERL      259
#define IDC_FRMW      260
#define IDC_LPA       261
#define IDC_ELPE      262
#define IDC_NPSS      263
#define IDC_WCTEMP    266
#define IDC_CCTEMP    268
#define IDC_TNVMCAP   280
#define IDC_UNVMCAP   296
#define IDC_MNENS     396
#define IDC_MNECPENS  398
#define IDC_MENSNN    400
#define IDC_ENSA      404
#define IDC_ENDSFS    405
#define IDC_SQES      512
#define IDC_CQES      513
#define IDC_NN        516
#define IDC_ONCS      520
#define IDC_FNA       524
#define IDC_VWC       525
#define IDC_AWUN      526
#define IDC_AWUPF     528
#define IDC_MNAN      540
#define IDC_MINMRTG   574
#define IDC_TRATTR    576
#define IDC_MCUDMQ    578
#define IDC_MNSUDMQ   580
#define IDC_MCMR      582
#define IDC_NMCMR     584
#define IDC_MCDQPC    586
#define IDC_SUBNQN    768

#define OACS_NS_MGMT     0x0008
#define OACS_LBA_STATUS  0x0200
#define OACS_HMLMS       0x0800
#define OAES_NS_ATTACHED 0x00000100u /* bit 8, also in feature 0Bh */
#define OAES_NS_ALLOC    0x00080000u /* bit 19, also in feature 0Bh */
#define CTRATT_UUID_LIST 0x00000200u
#define ONCS_COMPARE     0x0001
#define ONCS_DSM         0x0004
#define ONCS_WZ          0x0008
#define ONCS_VERIFY      0x0080
#define VWC_PRESENT      0x01
#define VWC_FLUSH_ALL    0x06 /* Flush takes NSID FFFFFFFFh */
#define ENSA_TEMPLATES   0x01
#define ENSA_MIGRATION   0x02
#define ENDSFS_FORMAT1   0x02
#define TRATTR_TUDCS     0x02

/* Identify Namespace: byte offsets (NVM Command Set, Identify Namespace) */
#define IDN_NSZE   0
#define IDN_NCAP   8
#define IDN_NUSE   16
#define IDN_NSFEAT 24
#define IDN_NLBAF  25
#define IDN_FLBAS  26
#define IDN_DPS    29
#define IDN_NMIC   30
#define IDN_DLFEAT 33
#define IDN_NAWUN  34
#define IDN_NAWUPF 36
#define IDN_NVMCAP 48
#define IDN_ANAGRP 92
#define IDN_NVMSET 100
#define IDN_ENDGID 102
#define IDN_NGUID  104
#define IDN_EUI64  120
#define IDN_LBAF   128

#define IDNS_TLBAAG 292 /* in CNS 05h */
#define IDNC_AOCS   18  /* in CNS 06h */
#define IDNC_VER    20
#define IDNC_LBAMQF 24

/* Features (5.2.26.1) */
enum {
	FID_ARBITRATION = 0x01,
	FID_POWER = 0x02,
	FID_TEMPERATURE = 0x04,
	FID_ERROR_RECOVERY = 0x05,
	FID_WRITE_CACHE = 0x06,
	FID_QUEUES = 0x07,
	FID_COALESCING = 0x08,
	FID_VECTOR = 0x09,
	FID_ASYNC_EVENTS = 0x0B,
	FID_CDQ = 0x21,
};

/* Log pages (5.2.12.1) */
enum {
	LOG_ERRORS = 0x01,
	LOG_SMART = 0x02,
	LOG_FIRMWARE = 0x03,
	LOG_NS_ATTACHED = 0x04,
	LOG_EFFECTS = 0x05,
	LOG_NS_ALLOC = 0x1C,
};

#define NSID_ALL 0xFFFFFFFFu

/* LBA Migration Queue entry type 0 (NVM Command Set 5.7) */
#define LMQ_BYTES     32
#define LMQ_NSID      0
#define LMQ_NLB       4
#define LMQ_SLBA      8
#define LMQ_ATTR      31
#define LMQ_CDQP      0x01
#define LMQ_ESA(v)    ((v) << 1)
#define LMQ_DLBA      0x20
#define LMQ_RANGE     0x00 /* LBACIR: SLBA and NLB are valid */
#define LMQ_NO_RANGE  0x80 /* LBACIR 10b */
#define LMQ_WHOLE_NS  0x40 /* LBACIR 01b */
#define ESA_NONE      0
#define ESA_FIRST     1
#define ESA_STOPPED   2
#define ESA_SUSPENDED 3
#define ESA_FULL      7

#endif
