// All of train. Depends on the folder's headers.
#pragma once

#include <thalweg/train/callback.hpp>
#include <thalweg/train/callbacks.hpp>
#include <thalweg/train/checkpoint.hpp>
#include <thalweg/train/evaluate.hpp>
#include <thalweg/train/fit.hpp>
#include <thalweg/train/hash.hpp>
#include <thalweg/train/history.hpp>
#include <thalweg/train/loggers.hpp>
#include <thalweg/train/loss.hpp>
#include <thalweg/train/metric.hpp>
#include <thalweg/train/metrics.hpp>
#include <thalweg/train/progress.hpp>
#include <thalweg/train/report.hpp>
#include <thalweg/train/report_run.hpp>
